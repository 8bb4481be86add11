"""What comes out of a runtime's block when more than one thing went wrong."""

import anyio


def raise_both(bodys_error: BaseException | None, others: BaseException | None) -> None:
    """Raise what ended the block and what ended the kernel, of which a cancellation is nothing to tell of."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(others, BaseExceptionGroup):
        others = others.split(cancelled)[1] or others
    if bodys_error is None:
        if others is not None:
            raise others
    elif others is None or isinstance(others, cancelled):
        raise bodys_error
    else:
        errors = others.exceptions if isinstance(others, BaseExceptionGroup) else (others,)
        raise BaseExceptionGroup("the runtime fell", [bodys_error, *errors])
