"""Looking into a runtime: its counters, snapshots, recordings, and the streams of what changes.

All of it is read from what the runtime keeps anyway, or is told on ways that no successful event takes.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from types import MappingProxyType

import attrs

from .changes import DEFAULT_KEPT, Change, Watch, Watches
from .dead_letters import DeadLetters
from .emitter import State
from .groups import GroupEmitter
from .log import Log
from .recordings import DEFAULT_KEPT as DEFAULT_RECORDED
from .recordings import Recording
from .roster import Roster
from .snapshots import DeadLettersSnapshot, Snapshot, snapshot_of
from .stats import RuntimeStats
from .subscription import Subscription
from .surroundings import Surroundings
from .taps import listen


@attrs.define(eq=False)
class Observable(GroupEmitter):
    """The half of a runtime that tells how it is."""

    dead_letters: DeadLetters = attrs.field(init=False)
    _around: Surroundings = attrs.field(init=False)
    _roster: Roster = attrs.field(factory=Roster, init=False)
    _log: Log = attrs.field(factory=Log, init=False)
    _changes: Watches[Change] = attrs.field(factory=lambda: Watches[Change](), init=False)
    _recordings: list[Recording] = attrs.field(factory=list, init=False)

    def __repr__(self) -> str:
        stats, count = self.stats, len(self._roster.subscriptions)
        return (
            f"<Runtime: {self._state.value}; {count} subscription(s), {stats.accepted} event(s) accepted, "
            f"{stats.pending} pending>"
        )

    @property
    def subscriptions(self) -> Mapping[str, Subscription]:
        """What is at work, by name."""
        return MappingProxyType(self._roster.subscriptions)

    @property
    def stats(self) -> RuntimeStats:
        """The runtime's counters now."""
        total = self._roster.total()
        return RuntimeStats(
            accepted=0 if self._state is State.NEW else self._dispatcher.accepted,
            unrouted=0 if self._state is State.NEW else self._dispatcher.unrouted,
            staged=self._staged_count,
            deliveries=total.accepted,
            succeeded=total.succeeded,
            failed=total.failed,
            dropped=total.dropped,
            expired=total.expired,
            cancelled=total.cancelled,
            retried=total.retried,
            returned=total.returned,
            pending=total.pending,
        )

    @property
    def _staged_count(self) -> int:
        if self._state is State.NEW:
            return 0
        return len(self._stages if self._outbox is None else self._outbox.groups)

    def snapshot(self) -> Snapshot:
        """The whole state at this moment, as values that can be kept, compared and encoded as JSON.

        Two of them tell rates: `later.rates_since(earlier)`. It takes a few microseconds for each subscription.

        Raises:
            WrongThread: while the runtime is open in another one, where it may change in between.
        """
        self._check_thread("snapshot")
        behaviours = self._roster.behaviours
        now = self._stopwatch()
        return Snapshot(
            time=self._clock.time(),
            stopwatch=now,
            state=self._state.value,
            scheduled=sum(behaviour.scheduled for behaviour in behaviours.values()),
            scheduled_in_line=sum(behaviour.scheduled_in_line for behaviour in behaviours.values()),
            stats=self.stats,
            dead_letters=DeadLettersSnapshot(
                kept=self.dead_letters.kept,
                limit=self.dead_letters.limit,
                total=self.dead_letters.total,
                evicted=self.dead_letters.evicted,
            ),
            subscriptions=tuple(
                snapshot_of(behaviour, self._roster.subscriptions[name].stats, now)
                for name, behaviour in behaviours.items()
            ),
        )

    def snapshot_from_thread(self) -> Snapshot:
        """`snapshot` from any thread but the event loop's: blocks it until the loop has got round to it.

        Raises:
            NotFromHere: this is the event loop's thread.
            RuntimeClosed, ForkedProcess: it is not open.
        """
        if self._inbox is None or self._state is State.FORKED:
            raise self._closed_error()
        return self._inbox.call("snapshot_from_thread", self.snapshot)

    def watch(self, *, limit: int = DEFAULT_KEPT) -> "AbstractAsyncContextManager[Watch[Change]]":
        """A block with a stream of what changes: `async with runtime.watch() as changes: async for change in changes`.

        It may begin before the runtime is entered. The stream ends after the change `closed`. A reader that falls
        behind by more than `limit` changes loses the oldest, which `missed` counts; it holds nothing back.

        Raises:
            InvalidOption: a limit that is none.
            WrongThread: at its beginning, outside of the runtime's thread.

        Cancellation: of a read, took nothing.
        """
        return self._changes.watch(limit, lambda: self._check_thread("watch"))

    @contextmanager
    def recording(self, recording: Recording | None = None, *, limit: int = DEFAULT_RECORDED) -> Iterator[Recording]:
        """A block in which each event and its outcomes are recorded, for `Recording.tree` and for tests.

        Outcomes of what was recorded are told after the block as well. It may begin before the runtime is entered.
        Each event costs a few microseconds more inside of the block, and nothing outside.

        Args:
            recording: One to go on with; otherwise a new one is made, of at most `limit` events.

        Raises:
            InvalidOption: a limit that is none.
            WrongThread: at its beginning, outside of the runtime's thread.
        """
        self._check_thread("recording")
        recording = Recording(limit) if recording is None else recording
        self._recordings.append(recording)
        self._listen()
        try:
            yield recording
        finally:
            self._recordings.remove(recording)
            self._listen()

    def _listen(self) -> None:
        if self._state is not State.NEW:
            listen(self._dispatcher, self._recordings)
