"""Dead letters: deliveries that were given up on, kept so that somebody can look, and try again.

Units: times in seconds since the epoch.
"""

import re
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import Final, Protocol

import anyio.lowlevel
import attrs

from .changes import DEFAULT_KEPT, Watch, Watches
from .checks import check_count, word
from .errors import InvalidOption, UnknownDeadLetter, UnknownSubscription
from .event import Event
from .log import printable
from .receipt import Receipt

_is_number = re.compile(r"[0-9]{1,18}").fullmatch

LONGEST_TRACEBACK: Final = 16 * 1024
"""Characters of a traceback that are kept."""

WIDEST_GROUP: Final = 20

LONGEST_MESSAGE: Final = 500
"""Characters of an error's message in the reason of a letter."""
DEFAULT_LISTED: Final = 1000


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
        raw: What the store of a durable module holds of an event that can't be read; None for others.
    """

    id: str
    event: Event
    subscription: str
    reason: str
    exception: Exception | None
    traceback: str
    attempts: int
    time: float
    raw: bytes | None = None


class LetterStore(Protocol):
    """Where a durable module keeps dead letters; as the methods of `DeadLetters`."""

    async def list(self, subscription: str | None, after: str | None, limit: int) -> tuple[DeadLetter, ...]: ...
    async def replay(self, id: str, event: Event | None) -> Receipt | None: ...
    async def discard(self, id: str) -> bool: ...


@attrs.define(eq=False)
class DeadLetters:
    """Deliveries that were given up on: in memory the newest, up to a limit; on a durable module all, in its store.

    Attributes:
        limit: Letters that are kept in memory.
        total: Letters ever added by this runtime.
        evicted: Letters that went to make room for newer ones.
        watches, store: The runtime's own.
    """

    limit: int
    _place: Callable[[DeadLetter], Receipt] = attrs.field(repr=False)
    total: int = attrs.field(default=0, init=False)
    evicted: int = attrs.field(default=0, init=False)
    watches: Watches[DeadLetter] = attrs.field(factory=lambda: Watches[DeadLetter](), init=False, repr=False)
    store: LetterStore | None = attrs.field(default=None, init=False, repr=False)
    _letters: OrderedDict[str, DeadLetter] = attrs.field(factory=OrderedDict, init=False, repr=False)

    @property
    def kept(self) -> int:
        """Letters that are kept in memory now."""
        return len(self._letters)

    async def list(
        self, subscription: str | None = None, *, after: str | None = None, limit: int = DEFAULT_LISTED
    ) -> tuple[DeadLetter, ...]:
        """The letters that are kept, oldest first.

        In memory they can be listed after the runtime has closed as well.

        Args:
            subscription: Only those of this one.
            after: Only those after the letter with this id: for the next page.
            limit: At most so many.

        Raises:
            InvalidOption: a limit, a name or an id that is none.
            StoreBroken: the store of a durable module can't be asked.

        Cancellation: changes nothing.
        """
        check_count("limit", limit, "letters")
        if subscription is not None and not isinstance(subscription, str):
            raise InvalidOption("subscription", subscription, "must be the name of one")
        subscription = word(subscription)
        if after is not None:
            after = _id_of(after)
        if self.store is not None:
            return await self.store.list(subscription, after, limit)
        await anyio.lowlevel.checkpoint()
        letters = (each for each in self._letters.values() if subscription in (None, each.subscription))
        first = 0 if after is None else _number_of(after)
        return tuple(islice((each for each in letters if int(each.id) > first), min(limit, self.kept)))

    async def replay(self, letter: DeadLetter | str) -> Receipt:
        """Deliver once more, as a new delivery with all its attempts, and forget the letter.

        Takes the letter or its id. If it fails again, a new letter tells so.

        Returns:
            A receipt for that one delivery.

        Raises:
            UnknownDeadLetter: it is not kept any more.
            InvalidOption: it is neither a letter nor an id.
            UnknownSubscription: nobody of that name is at work (on a durable module: registered); the letter is kept.
            RuntimeClosed: the runtime is not open; the letter is kept.

        Cancellation: while it waits for room in the mailbox; the delivery keeps its place in line. On a durable module
            it was replayed or not.
        """
        id = _id_of(letter)
        if self.store is not None:
            receipt = await self.store.replay(id, letter.event if isinstance(letter, DeadLetter) else None)
            if receipt is None:
                if isinstance(letter, DeadLetter) and await self.list(letter.subscription, limit=1):
                    raise UnknownSubscription(letter.subscription, stored=True)
                raise UnknownDeadLetter(id)
            return receipt
        found = self._find(letter)
        receipt = self._place(found)
        del self._letters[found.id]
        await receipt.admitted()
        return receipt

    def watch(self, *, limit: int = DEFAULT_KEPT) -> AbstractAsyncContextManager[Watch[DeadLetter]]:
        """A block with a stream of the letters that this runtime adds from now on, as `Runtime.watch` has of changes.

        Raises:
            InvalidOption: a limit that is none.

        Cancellation: of a read, took nothing.
        """
        return self.watches.watch(limit)

    async def discard(self, letter: DeadLetter | str) -> None:
        """Forget a letter, given as such or by its id.

        Raises:
            UnknownDeadLetter: it is not kept any more.
            InvalidOption: it is neither a letter nor an id.

        Cancellation: it was forgotten or not.
        """
        id = _id_of(letter)
        if self.store is not None:
            if not await self.store.discard(id):
                raise UnknownDeadLetter(id)
            return
        found = self._find(letter)
        await anyio.lowlevel.checkpoint()
        self._letters.pop(found.id, None)

    def _find(self, letter: DeadLetter | str) -> DeadLetter:
        id = _id_of(letter)
        found = self._letters.get(id)
        if found is None:
            raise UnknownDeadLetter(id)
        return found

    def add(
        self, event: Event, subscription: str, reason: str, error: Exception | None, attempts: int, time: float
    ) -> None:
        """The runtime's own: keep one more letter."""
        self.total += 1
        letter = letter_of(str(self.total), event, subscription, reason, error, attempts, time)
        self._letters[letter.id] = letter
        self.watches.tell(letter)
        while len(self._letters) > self.limit:
            self._letters.popitem(last=False)
            self.evicted += 1

    def stored(self, letter: DeadLetter) -> None:
        """The runtime's own: a store keeps one more."""
        self.total += 1
        self.watches.tell(letter)


def letter_of(
    id: str, event: Event, subscription: str, reason: str, error: Exception | None, attempts: int, time: float
) -> DeadLetter:
    """A letter about something that was given up on just now."""
    return DeadLetter(
        id=id,
        event=event,
        subscription=subscription,
        reason=reason,
        exception=error,
        traceback="" if error is None else text_of(error),
        attempts=attempts,
        time=time,
    )


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


def _id_of(letter: object) -> str:
    """The id of a letter that is given as such or by its id.

    Raises:
        InvalidOption: it is neither.
    """
    id: object = letter.id if isinstance(letter, DeadLetter) else letter
    if not isinstance(id, str):
        raise InvalidOption("letter", letter, "must be a dead letter or the id of one")
    return str.__str__(id)  # the text of a subclass, which may hash as it likes


def _number_of(id: str) -> int:
    """What the id of a letter in memory counts.

    Raises:
        InvalidOption: no letter has such an id.
    """
    if not _is_number(id):
        raise InvalidOption("after", id, "must be the id of a letter")
    return int(id)


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
