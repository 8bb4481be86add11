"""One run, as this process works on it: what has been done, what waits to go out, and why it is to stop.

Units: seconds.
"""

import enum
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import anyio
import attrs

from ..changes import Watches
from ..codec import UnreadableRecord
from ..errors import PostroomError
from ..event import Event
from ..journal import Entry, RunLoan, RunState
from ..journalling import Backstage
from ..services import Scope
from ..store_errors import UnknownResult
from .changes import StepChange, StepChangeKind
from .declaring import Step, Workflow
from .records import Done, Failure, Kind, Moment, entry, read_event
from .replay import Mismatch, Replay
from .staging import Buffer, Stash, Waiting
from .times import StoreTime

RECORD_WITHIN: Final = 30.0
"""How long a step that is done waits for the store to know it; then the run is left for others."""


class Reason(enum.Enum):
    """Why a run stops before its end."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    PARKED = "parked"
    LEAVING = "leaving"
    RESTING = "resting"
    LOST = "lost"


GOES_ON_ELSEWHERE: Final = frozenset({Reason.LEAVING, Reason.RESTING, Reason.LOST})

REST_AFTER: Final = 60.0
"""How long a run has only waited, and how much longer it will at the least, when its process lays it down."""

LONGEST_REST: Final = 3600.0
"""How long it is laid down at the most."""


@attrs.define(eq=False)
class Finished:
    """A step that is over, and may have to be undone.

    Attributes:
        rank: Its place in the order in which steps finished.
        undo: What its compensation gets.
        skipped: There is nothing to undo.
    """

    path: str
    step: Step[Any]
    rank: int
    undo: Any = None
    skipped: bool = False


@attrs.define(eq=False)
class Execution:
    """A run.

    Attributes:
        token: Of its loan.
        state: As its journal has it.
        scope: Around the workflow's function; cancelling it stops the run.
        reason: Why it was stopped.
        mismatch: With the reason `PARKED`.
        finished: Steps that are over, by path.
        running: Steps at work, by path.
        is_undoing: Its function has ended, and will not be gone on with.
        stuck: Paths of steps whose compensation has failed for good.
        seeking: The workflow only runs to find the steps of these paths.
        found, stalled: Where it seeks or is replayed: set once all of these were found, or something goes no further.
        in_doubt: While it seeks: steps that are not on record may have begun in another process.
        expired: Scopes of nested workflows that have run out of time, by prefix.
        limits: Scopes of workflows whose time runs once they do what is not on record, and its end, by prefix.
        waits: When each of its tasks that only wait will go on by itself, on the loop's clock.
        rest: For how long it is laid down, with the reason `RESTING`.
        rested_with: The signals that it knew when it was laid down.
        active_at: When something else happened last, on that clock.
    """

    workflow: Workflow[Any]
    loan: RunLoan
    backstage: Backstage
    threads: anyio.CapacityLimiter
    watches: Watches[StepChange]
    cause: Event
    services: Scope = attrs.field(kw_only=True)
    times: StoreTime = attrs.field(init=False)
    token: int = attrs.field(init=False)
    id: str = attrs.field(init=False)
    state: RunState = attrs.field(init=False)
    replay: Replay = attrs.field(factory=Replay, init=False)
    stash: Stash = attrs.field(init=False)
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope, init=False)
    reason: Reason | None = attrs.field(default=None, init=False)
    mismatch: Mismatch | None = attrs.field(default=None, init=False)
    finished: dict[str, Finished] = attrs.field(factory=dict, init=False)
    running: dict[str, Step[Any]] = attrs.field(factory=dict, init=False)
    is_undoing: bool = attrs.field(default=False, init=False)
    stuck: list[str] = attrs.field(factory=list, init=False)
    seeking: set[str] | None = attrs.field(default=None, init=False)
    in_doubt: bool = attrs.field(default=False, init=False)
    found: anyio.Event | None = attrs.field(default=None, init=False)
    stalled: anyio.Event | None = attrs.field(default=None, init=False)
    _stirred: anyio.Event | None = attrs.field(default=None, init=False)
    expired: dict[str, anyio.CancelScope] = attrs.field(factory=dict, init=False)
    limits: dict[str, tuple[anyio.CancelScope, float]] = attrs.field(factory=dict, init=False)
    waits: list[float] = attrs.field(factory=list, init=False)
    active_at: float = attrs.field(init=False)
    rest: float = attrs.field(default=0.0, init=False)
    rested_with: frozenset[str] = attrs.field(default=frozenset(), init=False)
    _pending: list[Entry] = attrs.field(factory=list, init=False)
    _rank: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.token, self.id, self.state = self.loan.token, self.loan.run.id, self.loan.run.state
        self.times = StoreTime(self.loan.now, self.backstage.port.now)
        self.stash = Stash(self.id, self.cause, self.backstage)
        self.replay.load(self.loan.entries)
        self._rank = len(self.loan.entries)
        self.active_at = self.times.loop()
        for path, undone in self.replay.undone.items():
            self.stash.epilogue.extend(self.stash.hold(path, read_event(each)) for each in undone.events)

    # Stopping

    def stop(self, reason: Reason) -> None:
        """End the workflow's function. What is lost stays so, whatever else there is to say."""
        if reason is Reason.CANCELLED and self.seeking is not None:
            return  # it seeks what it has to undo, and what it does not find would stay done
        if self.reason is None or reason is Reason.LOST:
            self.reason = reason
            self.scope.cancel()

    async def halt(self, path: str = "") -> NoReturn:
        """Never go on: something has stopped this run, or the nested one that `path` is in.

        Cancellation: is what it waits for.
        """
        expired = [scope for prefix, scope in self.expired.items() if path.startswith(prefix)]
        if self.stalled is not None and not expired:  # else what is around it goes on
            self.stalled.set()
        self.go_live(path)
        for scope in expired:
            scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError("or nothing has stopped it")

    def is_expired(self, path: str) -> bool:
        """Whether a nested workflow that this path is in has run out of time, as is on record."""
        return any(path.startswith(prefix) for prefix in self.expired)

    def go_live(self, path: str) -> bool:
        """From here on the code does what is not on record: the time of the workflows around runs; whether any is left.
        What is on record was done in time, however late it is when it is replayed."""
        left = True
        for prefix, (scope, due) in self.limits.items():
            if path.startswith(prefix):
                scope.deadline = self.times.loop_time(due)
                if due <= self.times.now():
                    scope.cancel()
                    left = False
        return left

    @contextmanager
    def waiting(self, due: float = math.inf) -> Iterator[None]:
        """A block in which a task only waits: until a time of day, for a signal, or for a deadline around it."""
        now = anyio.current_time()
        until = min(self.times.loop_time(due), anyio.current_effective_deadline())
        self.waits.append(until)
        self.active_at = now
        try:
            yield
        finally:
            self.waits.remove(until)
            self.active_at = self.times.loop()

    def rest_for(self) -> float:
        """For how long it may be laid down, since it only waits; 0 where it may not."""
        now = anyio.current_time()
        busy = self.reason is not None or self.is_undoing or self.seeking is not None or self.running
        if busy or not self.waits or now < self.active_at + REST_AFTER:
            return 0.0
        rest = min(self.waits) - now
        return 0.0 if rest < REST_AFTER else min(rest, LONGEST_REST)

    def begin_again(self, entries: tuple[Entry, ...]) -> None:
        """Let the function run once more, against the whole journal as it is now."""
        self.replay = Replay()
        self.replay.load(entries)
        self.reason, self.scope = None, anyio.CancelScope()

    def park(self, mismatch: Mismatch) -> None:
        """The journal does not fit the code."""
        self.mismatch = mismatch
        self.stop(Reason.PARKED)

    # The journal

    def later(self, each: Entry) -> None:
        """Have something written with the next record."""
        self._pending.append(each)

    async def record(self, *entries: Entry, state: RunState | None = None) -> bool:
        """Write to the journal; whether it stands there. Where it does not, the run goes on elsewhere.

        Cancellation: does not stop it; after 30 seconds without an answer the run is left for others.
        """
        batch = [*self._pending, *entries]
        self._pending.clear()
        local = self.backstage.local
        known = await self._stored(batch, state) if local is None else local.record_now(self.token, batch, state)
        if not known and self.reason is not Reason.LEAVING:
            self.stop(Reason.LOST)
        if known and state is not None:
            self.state = state
        return known

    async def _stored(self, batch: list[Entry], state: RunState | None) -> bool:
        try:
            return await self.backstage.ask(
                "write to the journal of a workflow",
                lambda: self.backstage.journal.record(self.token, batch, state),
                RECORD_WITHIN,
            )
        except UnknownResult:
            self.stop(Reason.LEAVING)
            return False
        except PostroomError:  # the store is gone for good; a nested workflow would undo what it can't record
            self.stop(Reason.LEAVING)
            raise

    async def flush(self) -> None:
        """Write what was to be written with the next record, where nothing else is coming.

        Cancellation: as `record`.
        """
        if self._pending:
            await self.record()

    async def recorded(self, *entries: Entry) -> None:
        """Write to the journal; where that can't be, never go on.

        Cancellation: as `record`.
        """
        if not await self.record(*entries):
            await self.halt()

    def moment(self, kind: Kind, path: str, make: Callable[[], float]) -> float:
        """A time that is the same whenever the workflow runs again."""
        at = self.replay.moment(kind, path)
        if at is None:
            at = make()
            self.later(entry(kind, path, Moment(at)))
        return at

    def refresh(self, entries: tuple[Entry, ...]) -> None:
        """Take up what came from outside."""
        self.active_at = self.times.loop()
        try:
            self.replay.signals = {**_signals(entries), **self.replay.signals}
        except UnreadableRecord as error:
            if not self.is_undoing:  # which waits for no signals
                self.park(Mismatch(str(error), "can't read that"))
        if any(each.kind == Kind.CANCEL for each in entries):
            self.replay.cancelled = True
            if not self.is_undoing:
                self.stop(Reason.CANCELLED)
        if self._stirred is not None:
            self._stirred.set()
            self._stirred = None

    async def stirred(self) -> None:
        """Wait until something comes from outside.

        Cancellation: changes nothing.
        """
        if self._stirred is None:
            self._stirred = anyio.Event()
        await self._stirred.wait()

    # Steps

    def over(self, path: str, step: Step[Any], record: Done | Failure, undo: Any = None) -> None:
        """A step is over; one out of the journal has its place there."""
        known = self.replay.steps.get(path)
        if known is None:
            self._rank += 1
        rank = self._rank if known is None else known[0]
        skipped = isinstance(record, Done) and record.skipped
        self.finished[path] = Finished(path, step, rank, undo, skipped)
        if self.seeking is not None:
            self.seeking.discard(path)
            if not self.seeking and self.found is not None:
                self.found.set()

    @property
    def may_have_begun(self) -> bool:
        """Whether steps that are not on record may have begun where the run was before."""
        return self.loan.run.losses > 0 or self.replay.has_begun

    def doubt(self, path: str, step: Step[Any], in_order: bool) -> None:
        """A step that it comes to while it seeks is not on record; one that may have begun counts as interrupted."""
        if not self.in_doubt or path in self.finished or self.is_expired(path):
            return
        if self.loan.run.losses > 0 or self.replay.may_have_begun(path):
            self.later(self.interrupt(path, step, in_order))

    def interrupt(self, path: str, step: Step[Any], in_order: bool) -> Entry:
        """A step was cancelled half-way, and will not go on: it is to be undone. What is to be written of that."""
        failure = Failure(self.times.now(), 1, "Cancelled", interrupted=True, in_order=in_order, name=step.name)
        self.over(path, step, failure)
        self.tell("interrupted", path, 1)
        return entry(Kind.FAILED, path, failure)

    def hold(self, path: str, events: list[Waiting]) -> None:
        """The events of a step that is recorded wait for the end of the run."""
        if not self.stash.muted:
            self.stash.waiting.extend(events)

    def buffer(self, path: str) -> Buffer:
        """Where the events of an attempt go."""
        return Buffer(path, self.stash)

    def tell(self, kind: StepChangeKind, path: str, attempt: int = 0, reason: str = "") -> None:
        """Show a change to whoever watches."""
        if self.watches.open:
            self.watches.tell(StepChange(kind=kind, step=path, time=self.times.now(), attempt=attempt, reason=reason))


def _signals(entries: tuple[Entry, ...]) -> Mapping[str, Any]:
    replay = Replay()
    replay.load([each for each in entries if each.kind == Kind.SIGNAL])
    return replay.signals
