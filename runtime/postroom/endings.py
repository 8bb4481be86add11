"""How a runtime ends that did not end well: which of the errors are raised, and as what."""

from collections.abc import Sequence

import anyio

from postroom_actors import cancellation_was_asked_for

from .store_errors import StoreBroken


def raise_what_ended_it(
    bodys_error: BaseException | None, others: BaseException | None, fallen: Sequence[BaseException]
) -> None:
    """Raise what ended the block, the kernel, and what subscriptions let the runtime fall with.

    `KeyboardInterrupt` and `SystemExit` go as they are. A cancellation is nothing to tell of beside something else.
    """
    cancelled = anyio.get_cancelled_exc_class()
    for error in (*fallen, bodys_error):
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error
    if isinstance(bodys_error, StoreBroken) and others is not None:  # the block asked the store as well
        others = BaseExceptionGroup("the runtime fell", [bodys_error, others])
        bodys_error = None
    if isinstance(others, BaseExceptionGroup):
        others = _without_repetition(others.split(cancelled)[1] or others)
    if others is not None and isinstance(bodys_error, cancelled) and not cancellation_was_asked_for():
        bodys_error = None  # it was cancelled because of the others
    if fallen:
        told = [error for error in (bodys_error, others) if isinstance(error, Exception)]
        raise BaseExceptionGroup("the runtime fell", [*told, *fallen])
    if bodys_error is None:
        if others is not None:
            raise others
    elif others is None or isinstance(others, cancelled):
        raise bodys_error
    else:
        errors = others.exceptions if isinstance(others, BaseExceptionGroup) else (others,)
        raise BaseExceptionGroup("the runtime fell", [bodys_error, *errors])


def _without_repetition(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """A store that breaks is met by every task that works with it: told once, and as itself where that is all."""
    leaves: list[BaseException] = []
    unseen: list[BaseException] = [group]
    while unseen:
        error = unseen.pop()
        if isinstance(error, BaseExceptionGroup):
            unseen.extend(reversed(error.exceptions))
        elif not (isinstance(error, StoreBroken) and any(isinstance(leaf, StoreBroken) for leaf in leaves)):
            leaves.append(error)
    if len(leaves) == 1 and isinstance(leaves[0], StoreBroken):
        return leaves[0]
    return group if leaves == list(group.exceptions) else BaseExceptionGroup(group.message, leaves)
