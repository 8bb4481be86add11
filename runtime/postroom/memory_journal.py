"""A journal in memory: what Local keeps of workflows, and what the reference store does.

All methods are plain: one step, which happens as a whole. It is written to be obviously right; other journals are
compared with it.

Units: seconds on the clock of whoever calls (`now`).
"""

import heapq
import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import attrs
import msgspec

from .contract import Answer, Emit, Notice
from .journal import ASLEEP, OVER, Entry, NewRun, RunLoan, RunState, StoredRun, Taken

Accept: TypeAlias = Callable[[Emit], Answer]
"""Accepts events together, or says why not, at once."""


@attrs.define(eq=False)
class KeptRun:
    """A run.

    Attributes:
        number: In the order in which they began.
        begun_by: The session, and the number of its call.
        created_at, changed_at: In seconds since the epoch.
        due: When it may be taken up.
        awake: The state that it goes on in once it is woken.
        token: Of its last loan.
        owner: The session that has it.
        answer: To the events that it was concluded with.
        watchers: Sessions.
    """

    number: int
    new: NewRun
    begun_by: tuple[str, int]
    created_at: float
    changed_at: float
    due: float
    state: RunState = RunState.RUNNING
    awake: RunState = RunState.RUNNING
    result: bytes = b""
    token: int = 0
    owner: str | None = None
    losses: int = 0
    forget_at: float = math.inf
    answer: Answer = attrs.field(factory=list)
    entries: dict[tuple[str, str], Entry] = attrs.field(factory=dict)
    watchers: list[str] = attrs.field(factory=list)

    @property
    def waits(self) -> bool:
        """Whether it is to be taken up."""
        return self.owner is None and self.state not in ASLEEP


@attrs.define(eq=False)
class MemoryJournal:
    """The runs, and what may be done with them.

    Attributes:
        tell: Called with a session, and what it is to be told.
        mail: Called when there may be runs to take up.
        epoch: What time 0 is, in seconds since the epoch.
        lease: Seconds for which a run that is over is kept at least.
        runs: By their ids.
    """

    tell: Callable[[str, Notice], None]
    mail: Callable[[], None]
    epoch: float = 0.0
    lease: float = 0.0
    runs: dict[str, KeptRun] = attrs.field(factory=dict, init=False)
    _lanes: dict[str, KeptRun] = attrs.field(factory=dict, init=False)
    _series: dict[str, int] = attrs.field(factory=dict, init=False)
    _tokens: dict[int, KeptRun] = attrs.field(factory=dict, init=False)
    _lines: dict[str, list[tuple[float, int, KeptRun]]] = attrs.field(factory=dict, init=False)
    _ends: list[tuple[float, int, KeptRun]] = attrs.field(factory=list, init=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    # Runs begin and are lent

    def begin(self, session: str, number: int, new: NewRun, lend: bool, now: float) -> RunLoan | StoredRun | None:
        run = self.runs.get(new.id) or self._lanes.get(new.lane)
        if run is None:
            if new.series and self._series.get(new.series, 0) >= new.most:
                return None
            if new.series:
                self._series[new.series] = self._series.get(new.series, 0) + 1
            time = self.epoch + now
            run = KeptRun(next(self._numbers), new, (session, number), time, time, now + new.delay)
            self.runs[new.id] = run
            if new.lane:
                self._lanes[new.lane] = run
            self._lend(run, session) if lend else self._wait(run, run.due)
        self._watch(run, session)
        is_the_same_call = run.begun_by == (session, number) and lend and run.owner == session
        return self._loan(run, now) if is_the_same_call else self._stored(run)

    def take(self, session: str, workflows: Mapping[str, int], now: float) -> Taken:
        loans: list[RunLoan] = []
        next_due = math.inf
        for workflow, count in workflows.items():
            lent = 0
            while (first := self._first(workflow)) is not None:
                if first.due > now or lent == count:
                    next_due = min(next_due, first.due)
                    break
                self._lend(first, session)
                loans.append(self._loan(first, now))
                lent += 1
        return Taken(loans, None if next_due == math.inf else max(0.0, next_due - now))

    def _lend(self, run: KeptRun, session: str) -> None:
        self._tokens.pop(run.token, None)
        run.token, run.owner = next(self._numbers), session
        self._tokens[run.token] = run

    def _wait(self, run: KeptRun, due: float) -> None:
        """Nobody has it; it may be taken up from some time on."""
        run.owner, run.due = None, due
        heapq.heappush(self._lines.setdefault(run.new.workflow, []), (due, run.number, run))
        self.mail()

    def _first(self, workflow: str) -> KeptRun | None:
        """What waits longest; entries of the line that don't hold any more are dropped."""
        line = self._lines.get(workflow, [])
        while line:
            due, _, run = line[0]
            if run.waits and run.due == due and self.runs.get(run.new.id) is run:
                return run
            heapq.heappop(line)
        self._lines.pop(workflow, None)
        return None

    # What is done with a loan

    def record(self, session: str, token: int, entries: Sequence[Entry], state: RunState | None, now: float) -> bool:
        run = self._lent(session, token)
        if run is None:
            return False
        self._write(run, entries, now)
        if state is not None and state is not run.state:
            run.state = run.awake = state
            run.changed_at = self.epoch + now
        return True

    def conclude(
        self,
        session: str,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None,
        accept: Accept,
        now: float,
    ) -> "Answer | Literal[False] | None":
        """As in the contract; `accept` accepts the events in the same step."""
        run = self._tokens.get(token)
        if run is not None and run.owner is None and run.state in ASLEEP:
            return run.answer  # the same call as before
        run = self._lent(session, token)
        if run is None:
            return None
        if unless in run.entries:
            return False
        answer = accept(events) if events else []
        if not isinstance(answer, list):
            return answer
        run.state, run.result, run.answer, run.owner, run.changed_at = state, result, answer, None, self.epoch + now
        self._tell_watchers(run, session)
        if state in OVER:
            run.watchers.clear()
            self._leave_lane(run)
            run.forget_at = now + max(keep, self.lease)
            heapq.heappush(self._ends, (run.forget_at, run.number, run))
        return answer

    def hand_back(self, session: str, token: int, wait: float, known: int | None, now: float) -> bool:
        run = self._lent(session, token)
        if run is None:
            return False
        self._wait(run, now + wait if known is None or len(run.entries) <= known else now)
        return True

    def _lent(self, session: str, token: int) -> KeptRun | None:
        run = self._tokens.get(token)
        return run if run is not None and run.owner == session else None

    def _write(self, run: KeptRun, entries: Sequence[Entry], now: float) -> None:
        for entry in entries:
            if (entry.kind, entry.key) not in run.entries:
                run.entries[entry.kind, entry.key] = entry
                run.changed_at = self.epoch + now

    # From outside

    def signal(self, run_id: str, entry: Entry, now: float) -> bool:
        run = self.runs.get(run_id)
        if run is None or run.state in OVER:
            return False
        if (entry.kind, entry.key) not in run.entries:
            self._write(run, [entry], now)
            if run.owner is not None:
                self.tell(run.owner, Notice("", run=run_id))
            elif run.waits and run.due > now:
                self._wait(run, now)
        return True

    def wake(self, run_id: str, now: float) -> bool:
        run = self.runs.get(run_id)
        if run is None or run.state in OVER or run.state not in ASLEEP:
            return False
        run.state, run.result, run.losses, run.changed_at = run.awake, b"", 0, self.epoch + now
        self._wait(run, now)
        return True

    def reopen(self, run_id: str, entry: Entry, now: float) -> bool:
        run = self.runs.get(run_id)
        if run is None or run.state is not RunState.SUCCEEDED:
            return False
        self._write(run, [entry], now)
        self._tokens.pop(run.token, None)  # what was said of it last is said no more
        run.state = run.awake = RunState.COMPENSATING
        run.result, run.losses, run.forget_at = b"", 0, math.inf
        run.new, run.begun_by = msgspec.structs.replace(run.new, lane=""), ("", 0)
        run.changed_at = self.epoch + now
        self._wait(run, now)
        return True

    def run(self, session: str, id: str, watch: bool, now: float) -> RunLoan | None:
        run = self.runs.get(id)
        if run is None:
            return None
        if watch:
            self._watch(run, session)
        return RunLoan(0, self._stored(run), tuple(run.entries.values()), self.epoch + now)

    def listing(
        self, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
    ) -> list[StoredRun]:
        found = [
            run
            for id, run in sorted(self.runs.items())
            if workflow in (None, run.new.workflow)
            and (states is None or run.state in states)
            and (after is None or id > after)
        ]
        return [self._stored(run) for run in found[:limit]]

    def forget(self, runs: Collection[str]) -> int:
        found = [run for id in runs if (run := self.runs.get(id)) is not None and run.state in ASLEEP]
        for run in found:
            self._forget(run)
        return len(found)

    def _watch(self, run: KeptRun, session: str) -> None:
        if run.state not in OVER and session not in run.watchers:
            run.watchers.append(session)

    def _tell_watchers(self, run: KeptRun, but: str | None = None) -> None:
        for watcher in run.watchers:
            if watcher != but:
                self.tell(watcher, Notice("", run=run.new.id))

    # What sessions and time do

    def give_back(self, session: str, now: float, *, lost: bool, holding: Collection[int] = ()) -> None:
        """Others may take up what a session has, but for the loans of some tokens; with `lost` it is taken for dead."""
        for run in self._tokens.values():
            if run.owner == session and run.token not in holding:
                run.losses += lost
                self._wait(run, now)

    def expire(self, now: float) -> None:
        """Forget the runs that have been over for long enough."""
        while self._ends and self._ends[0][0] <= now:
            _, _, run = heapq.heappop(self._ends)
            if self.runs.get(run.new.id) is run and run.forget_at <= now:
                self._forget(run)

    def _forget(self, run: KeptRun) -> None:
        del self.runs[run.new.id]
        self._tokens.pop(run.token, None)
        self._leave_lane(run)
        self._tell_watchers(run)

    def _leave_lane(self, run: KeptRun) -> None:
        if self._lanes.get(run.new.lane) is run:
            del self._lanes[run.new.lane]

    # As others see them

    def _stored(self, run: KeptRun) -> StoredRun:
        new = run.new
        return StoredRun(
            id=new.id,
            workflow=new.workflow,
            state=run.state,
            input=new.input,
            digest=new.digest,
            result=run.result,
            owner=run.owner,
            losses=run.losses,
            created_at=run.created_at,
            changed_at=run.changed_at,
            starts_at=run.created_at + new.delay,
            entries=len(run.entries),
            lane=new.lane,
        )

    def _loan(self, run: KeptRun, now: float) -> RunLoan:
        return RunLoan(run.token, self._stored(run), tuple(run.entries.values()), self.epoch + now)
