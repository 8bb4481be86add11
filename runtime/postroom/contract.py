"""The contract of an event module that keeps events in a store.

The runtime encodes events and outcomes, knows handlers, retries and mailboxes; a store keeps bytes, lends deliveries
and takes them back. It is asked for as many deliveries as there is room for, so backpressure reaches it.

A delivery in a store waits, is lent to one session, or is over. A session is one runtime's time on the store. What is
lent belongs to the session until it is settled, returned, or the session is taken for dead; then it is lent anew, with
one more loss and another token. A delivery is lent to be begun: whoever fetches asks for what it can begin soon.

A session is taken for dead by another one that finds its lease run out. One that finds its own lease run out, unnoticed
by others, lets it go on, and theirs too: they may have been unable to write as well. One that begins lets none go on.

Every call either happened as a whole or not at all. A call that raises `UnknownResult` may have happened: `publish`,
`release`, `replay` and `settle` are numbered by their session, and the same number again is the same call, with the
same result, also where the session's lease has run out in between; the others are harmless when repeated. A session
asks for one thing after the other under the numbers of the first three, and beside that for settlements, which have
numbers of their own: of each of the two a store remembers the last call.

Units: seconds on the store's own clock; bodies in bytes. Order of lists is the order of the calls.

Source: leases (Gray and Cheriton, 1989); fencing tokens (Kleppmann, 2016); demand as in Reactive Streams.
"""

import enum
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, TypeAlias

import msgspec

from .capabilities import Capability
from .errors import PostroomError
from .listings import StagedGroup as StagedGroup
from .listings import StoredSubscription as StoredSubscription


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event on its way into a store: what the store looks at, and the body that it only carries.

    Attributes:
        id: Unique, whoever chose it. One that its user chose stands for its event for a time from its acceptance, the
            store's window, and as long as a delivery of it is not over.
        name: Decides who gets it.
        body: The event, encoded.
        digest: Stands for what its user gave, where its user chose the id: two events of one id are the same if and
            only if their digests are equal. None where the runtime made the id, which is never seen twice then.
        key: Deliveries of one key are lent in order, to one session at a time.
        head_start: Seconds that are added to its place in line: what has waited since before `accepted_at +
            head_start` goes first.
        delay: Seconds from its acceptance until it may be lent; its place in line is that of the moment it is due.
        require: It is refused where nobody subscribes to it.
    """

    id: str
    name: str
    body: bytes
    digest: bytes | None = None
    key: str | None = None
    head_start: float = 5.0
    delay: float = 0.0
    require: bool = False


class Published(msgspec.Struct, frozen=True):
    """What became of an event that was published.

    Attributes:
        accepted_at: When, in seconds since the epoch.
        targets: The subscriptions that get it, as they were registered at that moment.
        outcomes: Encoded, by subscription: of an event that was accepted before under this id, those so far.
        body: Of an event that was accepted before under this id, and of one that was staged; None for others.
    """

    accepted_at: float
    targets: tuple[str, ...]
    outcomes: Mapping[str, bytes] = {}
    body: bytes | None = None


class Binding(msgspec.Struct, frozen=True):
    """A subscription, as a store knows it: by its name. Its patterns are those that were registered last.

    Attributes:
        patterns: Names of events, with `*` for one token and `**` for one or more at the end.
        backlog: How many deliveries may wait for it; None for any number.
        overflow: What happens at publish where that many wait: `wait`, by which the emit is refused with `BacklogFull`
            and tried again; `drop_oldest`, `drop_newest` or `coalesce`.
        interval: Seconds between two attempts on average, `RETRYING` ones included, over all sessions; None for any
            number of attempts. `postroom.metering` computes what may be lent.
        burst: So many attempts may begin at once, after a time in which there were fewer.
    """

    name: str
    patterns: tuple[str, ...]
    backlog: int | None = None
    overflow: str = "wait"
    interval: float | None = None
    burst: int = 1


class Loan(msgspec.Struct, frozen=True):
    """A delivery that is lent to a session.

    Attributes:
        token: Names this loan; whoever settles shows it. Another loan of the same delivery has another one.
        id: Of the event.
        body: The event, encoded.
        accepted_at: Of the event, in seconds since the epoch.
        age: Seconds since the delivery was due for the first time.
        attempts: Attempts that have failed.
        losses: How often it was lost with the session that it was lent to.
    """

    subscription: str
    token: int
    id: str
    body: bytes
    accepted_at: float
    age: float
    attempts: int = 0
    losses: int = 0


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch has brought.

    Attributes:
        loans: In the order in which they are to be begun, for each subscription.
        next_due: Seconds until the next delivery of those that were asked for is due, or may be lent by its rate; None
            where none is known.
    """

    loans: list[Loan]
    next_due: float | None = None


class Step(enum.StrEnum):
    """What a session says of a delivery that it was lent."""

    SETTLED = "settled"
    """It is over, with an outcome."""
    RETURNED = "returned"
    """It was not handled: it is available again, in its old place, after `wait` seconds; until then nothing of its key
    is lent."""
    RETRYING = "retrying"
    """An attempt has failed; the session keeps it, and tries again after `wait` seconds, and not before even where it
    is lost."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter on its way into a store.

    Attributes:
        reason, error, traceback: Texts; `error` is the class of what was raised, None where nothing was.
        message: Of what was raised.
        attempts: How many were made.
        key, head_start: Of the event, as in `StoredEvent`: a replay has them again. Unknown of what can't be read.
    """

    reason: str
    error: str | None
    message: str
    traceback: str
    attempts: int
    key: str | None = None
    head_start: float = 5.0


class StoredLetter(msgspec.Struct, frozen=True):
    """A dead letter in a store.

    Attributes:
        id: Names it: the token of the loan that it was in, as `letter_id` writes it, so that both sides know it. Ids
            sort by age.
        time: When it was given up, in seconds since the epoch.
    """

    id: str
    subscription: str
    event: str
    body: bytes
    accepted_at: float
    letter: Letter
    time: float


def letter_id(token: int) -> str:
    """The id of the dead letter that settling a loan leaves behind."""
    return f"{token:020}"


class Settlement(msgspec.Struct, frozen=True):
    """One step of one loan.

    Attributes:
        outcome: Encoded; for `SETTLED` only. The store hands it to every session that published the event, but for the
            one that settles.
        letter: Kept together with the event's body, in the same transaction.
        attempts: That have failed so far.
        wait: For `RETURNED` and `RETRYING`.
    """

    token: int
    step: Step
    outcome: bytes = b""
    letter: Letter | None = None
    attempts: int = 0
    wait: float = 0.0


class Notice(msgspec.Struct, frozen=True):
    """What became elsewhere of an event that this session has published or staged.

    Attributes:
        event: Its id.
        subscription, outcome: Whose delivery is over, and how; both empty in the other kinds.
        published: It was staged here, and released, by whichever session; also by this one, whose reply may get lost.
        cleared: It was staged here, and dropped; why.
        run: The id of a workflow's run, in the journal: this session has it and it was written to from outside, or this
            session watches it and it is over or has stopped. `event` is empty then.
    """

    event: str
    subscription: str = ""
    outcome: bytes = b""
    published: Published | None = None
    cleared: str = ""
    run: str = ""


class News(msgspec.Struct, frozen=True):
    """What has happened on the store that concerns a session.

    Attributes:
        number: To be told at the next call, so that the store can forget these notices.
        notices: In order.
        mail: There may be something to fetch, or runs of workflows to take up. Of what the session itself has
            published, the answer is news enough.
        room: A backlog that refused an emit of this session may have room again.
        routes: Who subscribes to what, or who serves it, may have changed.
        lost: The session was taken for dead: all that it was lent is gone, its tokens are worth nothing, and it serves
            nobody until it binds again. It has a new lease already. Told again, as notices are, where it may not have
            been heard.
        forgotten: The store had forgotten the session, or everything: of what the session had published before this
            time it may never be told. Seconds since the epoch; 0 where it had not.
    """

    number: int = 0
    notices: Sequence[Notice] = ()
    mail: bool = False
    room: bool = False
    routes: bool = False
    lost: bool = False
    forgotten: float = 0.0


EXPIRED: Final = "it was not released in time"
"""The reason in the notice of a group whose time to live is over."""

Emit: TypeAlias = Sequence[StoredEvent]
"""Events that are accepted together, or not at all."""

Answer: TypeAlias = "list[Published] | PostroomError"
"""One for each event of an emit; or why none was accepted: `NoSubscriber`, `ConflictingEvent`, `BacklogFull`."""


class Store(Protocol):
    """One session on a store. All calls are made in the task tree of the runtime that opened it.

    Raises, from every call:
        StoreBusy, StoreFull: nothing was done; it may work later.
        StoreBroken: nothing was done, and nothing will be.
        UnknownResult: it was done or not; nobody can tell.

    Cancellation, of every call: as with `UnknownResult`, unless it says otherwise.
    """

    async def bind(self, bindings: Sequence[Binding], *, serve: bool) -> None:
        """Register subscriptions, or change what was registered under their names; with `serve`, to fetch for them."""
        ...

    async def leave(self, names: Collection[str]) -> None:
        """Serve these no longer. They stay registered, and their deliveries wait."""
        ...

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        """Accept several emits in one commit; each of them as a whole, or not at all."""
        ...

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        """Lend what waits for each of some subscriptions, up to a number; returns at once.

        What belonged to sessions that are taken for dead is available by then; see above for when they are.
        """
        ...

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Note steps of loans in one commit; false for each whose token is worth nothing any more.

        Args:
            number: Counted apart from those of other calls; the same one again is the same call.
        """
        ...

    async def reclaim(self, holding: Collection[int]) -> None:
        """Return what this session was lent, but for the loans of these tokens: a fetch may have got lost."""
        ...

    async def news(self, seen: int) -> News:
        """Wait until something has happened that concerns this session. Spurious news is fine.

        Args:
            seen: The number of the last news; their notices may be forgotten now, all later ones come again.

        Cancellation: nothing is forgotten.
        """
        ...

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        """Stage events in a group, all or none; the first ones begin it, for `ttl` seconds, however its session ends.

        Returns:
            None for each one that was staged, or was staged in this very group before under its id; what became of
            it for one that was accepted before. Or `ConflictingEvent`, or `GroupFull`: nothing was staged.
        """
        ...

    async def release(self, number: int, group: str) -> "tuple[list[str], Answer]":
        """Accept all events of a group, in their order, or none; then the group is forgotten.

        Returns:
            Their ids, and the answer, in which each one has its body; both empty where nothing is staged.
        """
        ...

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        """Drop what is staged in a group, or of it the events of these names; returns how many."""
        ...

    async def groups(self, limit: int) -> list[StagedGroup]:
        """The groups in which something is staged, those first that are dropped first; at most so many."""
        ...

    async def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        """Dead letters, oldest first: of one subscription or of all, those after the one with this id."""
        ...

    async def replay(self, number: int, letter: str) -> Published | None:
        """Make a dead letter's event a new delivery for its subscription, due now, with the letter's key and head
        start, and forget the letter; None where there is no such letter, or its subscription is not registered."""
        ...

    async def discard(self, letters: Collection[str]) -> int:
        """Forget dead letters; returns how many there were."""
        ...

    async def subscriptions(self) -> list[StoredSubscription]:
        """All that are registered, by name."""
        ...

    async def pause(self, name: str, paused: bool) -> None:
        """Lend nothing for this subscription, to no session, until that is undone."""
        ...

    async def remove(self, name: str) -> int:
        """Forget a subscription that nobody serves, and what waits for it, which settles as cancelled; returns how
        many deliveries that were. Does nothing where somebody serves it."""
        ...


class EventModule(Protocol):
    """What carries the events of runtimes: `Runtime(module=…)`.

    Attributes:
        name: For people.
        capabilities: What it promises. What it doesn't is refused before its store is asked.
    """

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def open(self, session: str) -> AbstractAsyncContextManager[Store]:
        """A block with one session on the store; it renews the session's lease by itself.

        Leaving the block ends the session: what it was lent is available again at once, without a loss.

        Args:
            session: Unique, for all time.

        Raises:
            StoreBroken: it can't be used; what it is, where, and what to do.
        """
        ...
