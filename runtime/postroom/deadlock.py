"""Waits that count: those of a worker's own task, on what other workers have to do.

Before such a wait begins, it is checked whether it would close a circle (`find_circle`), and while it lasts it stands
in the worker's place at its actor, where the checks of others find it. A task that a handler has started may wait
while the handler goes on, so its waits are not counted.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import attrs

from postroom_actors import Hand, Port, Wait, current_hand, find_circle, running_library

from .errors import WouldDeadlock, WrongBackend

ROOM: Final = "room"
OUTCOMES: Final = "outcomes"
ANSWER: Final = "answer"
END: Final = "end"

in_thread_of: Final[ContextVar["Hand[Any] | None"]] = ContextVar("postroom_in_thread_of", default=None)
"""In a worker thread: the hand whose plain function runs there, and which waits for that thread meanwhile."""


def own_hand(port: Port) -> Hand[Any] | None:
    """The hand that stands still while the caller waits; None where the caller's waits concern no actor."""
    hand = current_hand()
    if hand is None:
        return None
    if hand.task is port.current_task():
        return hand  # also where an instance starts or stops, with no message in hand
    return hand if hand.message is not None and in_thread_of.get() is hand else None


@attrs.frozen(eq=False)
class LateWait(Wait):
    """A wait that may close a circle after it has begun: where somebody goes who could have ended it from outside.

    Attributes:
        wake: Called when it is refused.
        refusals: Why it was; whoever waits raises that. It needs nobody then.
    """

    wake: Callable[[], None] = attrs.field(kw_only=True)
    refusals: list[WouldDeadlock] = attrs.field(kw_only=True)

    @classmethod
    def of(cls, wait: Wait, wake: Callable[[], None]) -> "LateWait":
        refusals: list[WouldDeadlock] = []
        return cls(
            wait.kind, wait.label, lambda: () if refusals else wait.needs(), wait.every, wake=wake, refusals=refusals
        )


def refuse_circles(hands: Iterable[Hand[Any]]) -> None:
    """Refuse each wait of these hands that has closed a circle meanwhile, and without which there is none."""
    for hand in hands:
        wait = hand.wait
        if isinstance(wait, LateWait):
            circle = find_circle(hand, wait)
            if circle is not None and not circle.closes_at:  # else it waits for those in one, who are told
                wait.refusals.append(WouldDeadlock(wait.label, str(circle)))
                wait.wake()


def check(hand: Hand[Any], wait: Wait) -> None:
    """Raises WouldDeadlock where `wait` would close a circle; nothing has been changed."""
    circle = find_circle(hand, wait)
    if circle is not None:
        raise WouldDeadlock(wait.label, str(circle))


@contextmanager
def waiting(port: Port, wait: Callable[[], Wait]) -> Generator[None]:
    """A block in which the caller waits; `wait` is only asked what for where that concerns an actor.

    Raises:
        WouldDeadlock: at its beginning.
    """
    hand = own_hand(port)
    if hand is None:
        yield
        return
    wanted = wait()
    check(hand, wanted)
    hand.wait = wanted
    try:
        yield
    finally:
        hand.wait = None


def check_here(port: Port) -> None:
    """Raises WrongBackend where the caller runs in another event loop than the runtime: a wait would break both."""
    if not port.runs_here():
        library = running_library()
        raise WrongBackend(port.library, library if library != port.library else f"another run of {library}")
