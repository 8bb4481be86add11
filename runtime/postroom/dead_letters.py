"""Dead letters: deliveries that were given up on, kept so that somebody can look, and try again.

Units: times in seconds since the epoch.
"""

import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final

import attrs

from .changes import DEFAULT_KEPT, Watch, Watches
from .errors import UnknownDeadLetter
from .event import Event
from .log import printable
from .receipt import Receipt

LONGEST_TRACEBACK: Final = 16 * 1024
"""Characters of a traceback that are kept."""

WIDEST_GROUP: Final = 20

LONGEST_MESSAGE: Final = 500
"""Characters of an error's message in the reason of a letter."""


@attrs.frozen(kw_only=True)
class DeadLetter:
    """One delivery that was given up on.

    Attributes:
        id: Names the letter for `replay` and `discard`.
        event: What could not be handled.
        subscription: By whom.
        reason: Why, in one line; what the exception says is cut to 500 characters in it, and escaped.
        exception: What the last attempt raised; None where none was made.
        traceback: The text of it, cut to 16 KiB.
        attempts: How many were made.
        time: When it was given up.
    """

    id: str
    event: Event
    subscription: str
    reason: str
    exception: Exception | None
    traceback: str
    attempts: int
    time: float


@attrs.define(eq=False)
class DeadLetters:
    """The newest dead letters, up to a limit.

    Attributes:
        total: Letters ever added.
        evicted: Letters that went to make room for newer ones.
        watches: The runtime's own.
    """

    limit: int
    _place: Callable[[DeadLetter], Receipt] = attrs.field(repr=False)
    total: int = attrs.field(default=0, init=False)
    evicted: int = attrs.field(default=0, init=False)
    watches: Watches[DeadLetter] = attrs.field(factory=lambda: Watches[DeadLetter](), init=False, repr=False)
    _letters: OrderedDict[str, DeadLetter] = attrs.field(factory=OrderedDict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._letters)

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(self.list())

    def list(self, subscription: str | None = None) -> tuple[DeadLetter, ...]:
        """The letters that are kept, oldest first; those of one subscription where it is named."""
        letters = self._letters.values()
        return tuple(letter for letter in letters if subscription is None or letter.subscription == subscription)

    async def replay(self, letter: DeadLetter | str) -> Receipt:
        """Deliver once more, as a new delivery with all its attempts, and forget the letter.

        Takes the letter or its id. If it fails again, a new letter tells so.

        Returns:
            A receipt for that one delivery.

        Raises:
            UnknownDeadLetter: it is not kept any more.
            UnknownSubscription: nobody of that name is at work; the letter is kept.
            RuntimeClosed: the runtime is not open; the letter is kept.

        Cancellation: while it waits for room in the mailbox; the delivery keeps its place in line.
        """
        found = self._find(letter)
        receipt = self._place(found)
        del self._letters[found.id]
        await receipt.admitted()
        return receipt

    def watch(self, *, limit: int = DEFAULT_KEPT) -> AbstractAsyncContextManager[Watch[DeadLetter]]:
        """A block with a stream of the letters that are added from now on, as `Runtime.watch` has one of changes.

        Raises:
            InvalidOption: a limit that is none.

        Cancellation: of a read, took nothing.
        """
        return self.watches.watch(limit)

    def discard(self, letter: DeadLetter | str) -> None:
        """Forget a letter, given as such or by its id.

        Raises:
            UnknownDeadLetter: it is not kept any more.
        """
        del self._letters[self._find(letter).id]

    def _find(self, letter: DeadLetter | str) -> DeadLetter:
        id = letter if isinstance(letter, str) else letter.id
        found = self._letters.get(id)
        if found is None:
            raise UnknownDeadLetter(id)
        return found

    def add(
        self, event: Event, subscription: str, reason: str, error: Exception | None, attempts: int, time: float
    ) -> None:
        """The runtime's own: keep one more letter."""
        self.total += 1
        letter = DeadLetter(
            id=str(self.total),
            event=event,
            subscription=subscription,
            reason=reason,
            exception=error,
            traceback="" if error is None else text_of(error),
            attempts=attempts,
            time=time,
        )
        self._letters[letter.id] = letter
        self.watches.tell(letter)
        while len(self._letters) > self.limit:
            self._letters.popitem(last=False)
            self.evicted += 1


def reason_of(error: BaseException, attempt: int) -> str:
    """What an error is and says, on one line of bounded length, without what would steer a terminal."""
    try:
        message = str(error)[: LONGEST_MESSAGE + 1]
    except Exception as failure:  # an exception class of the user's may fail to print itself
        message = f"(its message can't be shown: {type(failure).__name__})"
    message = printable(message)
    if len(message) > LONGEST_MESSAGE:
        message = message[: LONGEST_MESSAGE - 1] + "…"
    return f"{type(error).__name__} in attempt {attempt}{': ' if message else ''}{message}"


def text_of(error: BaseException) -> str:
    """The traceback of `error` as text, in bounded size whatever was raised."""
    try:
        summary = traceback.TracebackException.from_exception(
            error, limit=50, max_group_width=WIDEST_GROUP, compact=True
        )
        text = "".join(summary.format())
    except Exception as failure:  # an exception class of the user's may fail to print itself
        text = f"{type(error).__name__} (its traceback can't be shown: {type(failure).__name__})"
    return text if len(text) <= LONGEST_TRACEBACK else text[: LONGEST_TRACEBACK - 2] + "…\n"
