"""The task that keeps the runs of a block: it takes them up where there is room, and ends them at the end.

Runs are begun in tasks of this one, never in those of whoever asks for them, so that they inherit nothing from there.

Units: seconds.
"""

import math
from collections.abc import Iterable
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from postroom_actors import Verdict, interrupt_of, judge

from ..codec import UnreadableRecord
from ..event import Event
from ..journal import NewRun, RunLoan, RunState, StoredRun
from ..journalling import Backstage, Listener
from ..log import WORKFLOW_PARKED, WORKFLOWS_LEFT
from ..services import Events
from .declaring import Workflow
from .driver import Driver
from .errors import WorkflowsClosed
from .execution import Execution, Reason
from .handles import Tracked
from .records import Input, Kind, Moment, Result, encode, entry, read
from .staging import current_buffer
from .times import WallTime

REST_EVERY: Final = 10.0
"""How often those in hand are looked at for whether they only wait."""

LOOK_EVERY: Final = 1.0
"""How often a store is asked for runs that a dead process has left, which may come without news."""

SHORTEST_WAIT: Final = 0.001
"""Less may round to nothing on the loop's clock, for ever."""

GRACE: Final = 5.0
"""How long handing runs back may take at the end."""

THREADS: Final = 40
"""Worker threads for steps that are plain functions."""


async def staged_events(name: object, data: object, options: object) -> object:
    """What `Events` does in a step."""
    buffer = current_buffer.get()
    await anyio.lowlevel.checkpoint()
    if buffer is None:
        raise WorkflowsClosed("open, but no step runs here that could emit")
    return buffer.emit(name, data, options)  # type: ignore[arg-type]  # as `Events.emit` has them


@attrs.define(eq=False)
class Keeper:
    """Keeps runs.

    Attributes:
        known: The workflows that may be taken up, by name.
        runs: Those in hand, by the tokens of their loans.
        listener: What it hears of the journal.
        ready: Set once it serves.
    """

    backstage: Backstage
    known: dict[str, Workflow[object]]
    capacity: int
    _tracked: "WeakValueDictionary[str, Tracked]"
    compensate_within: float
    runs: dict[int, Execution] = attrs.field(factory=dict, init=False)
    listener: Listener = attrs.field(init=False)
    ready: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    times: WallTime = attrs.field(init=False)
    threads: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(THREADS), init=False)
    _tasks: "anyio.abc.TaskGroup" = attrs.field(init=False)
    _life: anyio.CancelScope = attrs.field(factory=lambda: anyio.CancelScope(shield=True), init=False)
    _news: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _changed: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _arrived: list[RunLoan] = attrs.field(factory=list, init=False)
    _heard: dict[str, None] = attrs.field(factory=dict, init=False)
    _working: dict[int, str] = attrs.field(factory=dict, init=False)  # what has arrived and is not done with
    _early: set[str] = attrs.field(factory=set, init=False)  # heard of before it was at work here
    _reserved: int = attrs.field(default=0, init=False)  # places for what is being asked for
    _ids: dict[str, Execution] = attrs.field(factory=dict, init=False)  # the newest of each
    _rests_at: float = attrs.field(default=-math.inf, init=False)
    _is_lost: bool = attrs.field(default=False, init=False)
    _stop_for: Reason | None = attrs.field(default=None, init=False)
    _leaving: bool = attrs.field(default=False, init=False)
    _others_wait: bool = attrs.field(default=True, init=False)  # in the journal, as far as is known
    _came: bool = attrs.field(default=False, init=False)  # another one, since they were last asked for
    _events: Events = attrs.field(factory=lambda: Events(staged_events), init=False)  # type: ignore[arg-type]  # see there

    def __attrs_post_init__(self) -> None:
        self.listener = Listener(self._on_heard, self.mail, self._on_lost)
        self.times = WallTime(self.backstage)

    # Beginning

    async def begin(self, new: NewRun) -> tuple[RunLoan | StoredRun | None, Tracked]:
        """Begin a run; have it at once where there is room, and nobody waits for that. None where its series is over.

        Cancellation: noticed once it was begun.
        """
        tracked = self.tracked(new.id)
        room = self._room()
        has_place = room > self.capacity // 2 or (room > 0 and not self._others_wait)  # or else it would overtake them
        lend = has_place and not self._leaving and not new.delay
        self._reserved += lend
        try:
            found = await self.backstage.begin(new, lend, self.listener)
        finally:
            self._reserved -= lend
        if isinstance(found, RunLoan):
            tracked.is_in_hand = True
            self._arrive([found])
        elif found is not None and found.id != new.id:
            tracked = self.tracked(found.id)
        stored = found.run if isinstance(found, RunLoan) else found
        if stored is not None:
            tracked.forget_unless(stored)
        if not lend and found is not None:
            self.mail()
        return found, tracked

    def _room(self) -> int:
        return self.capacity - len(self._working) - self._reserved

    def tracked(self, id: str) -> Tracked:
        """What is known here of a run."""
        tracked = self._tracked.get(id)
        if tracked is None:
            tracked = self._tracked[id] = Tracked(id)
        return tracked

    def spawn(self, function: object, *arguments: object) -> None:
        """Run something beside the runs, until the end of the block."""
        self._tasks.start_soon(function, *arguments)  # type: ignore[arg-type]  # an async function

    # Serving

    async def serve(self) -> None:
        """Take up runs, until the block is left.

        Cancellation: does not come in; `leave` ends it.
        """
        with self._life:
            async with anyio.create_task_group() as self._tasks:
                self.ready.set()
                while True:
                    news = self._news = anyio.Event()
                    if not self._reserved and len(self.runs) == len(self._working):
                        self._early.clear()
                    if self._is_lost:
                        await self._stop_lost()
                    await self._refresh()
                    self._lay_down()
                    wait = await self._take()
                    for loan in self._start_arrived():
                        self._tasks.start_soon(self._work, loan, name=f"postroom workflow {loan.run.id}")
                    if wait is None and self.backstage.is_durable:
                        wait = REST_EVERY
                    with anyio.move_on_after(wait):
                        await news.wait()

    def _arrive(self, loans: Iterable[RunLoan]) -> None:
        for loan in loans:
            self._arrived.append(loan)
            self._working[loan.token] = loan.run.id
            self._stir()

    def _start_arrived(self) -> Iterable[RunLoan]:
        arrived, self._arrived = self._arrived, []
        return arrived

    async def _take(self) -> float | None:
        """Take up what waits, as far as there is room; seconds until it is worth looking again."""
        if not self.known or (self._leaving and self.backstage.is_durable):  # on Local nobody else will
            return None
        in_turn, next_due = 0, math.inf  # of the workflows that have nothing to be taken up now
        while True:
            free = self._room()
            if free <= 0:
                self._others_wait = True
                return None
            if not self._others_wait and not self.backstage.is_durable:
                return None
            if not in_turn:
                self._came = False
            asked = max(1, free // 2)  # the rest is for those that begin meanwhile
            share = max(1, asked // len(self.known))
            names = list(self.known)[:asked]
            self.known.update((name, self.known.pop(name)) for name in names)  # the others come first next time
            self._reserved += asked
            try:
                taken = await self.backstage.take(dict.fromkeys(names, share), self.listener)
            finally:
                self._reserved -= asked
            self._arrive(taken.loans)
            if taken.next_due == 0:
                in_turn, next_due = 0, math.inf
                continue
            in_turn += len(names)
            next_due = min(next_due, math.inf if taken.next_due is None else taken.next_due)
            if in_turn < len(self.known):
                continue
            if self._came:  # perhaps of one that was asked for before
                in_turn, next_due = 0, math.inf
                continue
            self._others_wait = next_due < math.inf and not self._leaving
            self._tell_changed()
            wait = min(LOOK_EVERY if self.backstage.is_durable else math.inf, max(next_due, SHORTEST_WAIT))
            return None if wait == math.inf else wait

    async def _work(self, loan: RunLoan) -> None:
        try:
            run = await self._opened(loan)
            if run is not None:
                await self._drive(run)
        except BaseException as error:
            if judge(error) is not Verdict.INTERRUPTED:
                raise
            self.backstage.fall(interrupt_of(error))  # as itself, not in a group of this block's tasks
        finally:
            self._working.pop(loan.token, None)
            self.listener.holding.discard(loan.token)
            self._stir()
            self._tell_changed()

    def _tell_changed(self) -> None:
        self._changed.set()

    async def _drive(self, run: Execution) -> None:
        self.runs[run.token] = self._ids[run.id] = run
        if run.id in self._early:
            self._early.discard(run.id)
            self._on_heard(run.id)
        tracked = self.tracked(run.id)
        tracked.created_at = run.loan.run.created_at
        input = read(run.loan.run.input, Input, "input of a workflow")
        journal, token = self.backstage.journal, run.token
        try:
            if self._stop_for is not None:
                run.stop(self._stop_for)
            await Driver(run, input, tracked.end).drive()
            if run.reason is not None:
                tracked.stir()  # it goes on elsewhere: whoever waits asks the store from now on
            if run.reason in (Reason.LEAVING, Reason.RESTING):
                rest = run.rest if run.reason is Reason.RESTING else 0.0
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + GRACE):
                    await run.flush()
                    known = await self._known_of(run) if rest else None
                    await self.backstage.ask("hand a workflow back", lambda: journal.hand_back(token, rest, known))
        finally:
            del self.runs[token]
            if self._ids.get(run.id) is run:
                del self._ids[run.id]

    def _lay_down(self) -> None:
        """Have runs that only wait, and for long, do so in the journal: others get their places."""
        now = anyio.current_time()
        if not self.backstage.is_durable or now < self._rests_at + REST_EVERY:
            return
        self._rests_at = now
        for run in self.runs.values():
            run.rest = run.rest_for()
            if run.rest:
                run.rested_with = frozenset(run.replay.signals)
                run.stop(Reason.RESTING)

    async def _known_of(self, run: Execution) -> int:
        """How many entries a run has that it knew when it was told to rest: what came from outside since then has found
        nobody to tell, and the store does not lay it down with more."""
        loan = await self.backstage.ask("read a workflow", lambda: self.backstage.journal.run(run.id))
        if loan is None:
            return 0
        unheard = any(
            each.kind == Kind.CANCEL or (each.kind == Kind.SIGNAL and each.key not in run.rested_with)
            for each in loan.entries
        )
        return 0 if unheard else len(loan.entries)

    async def _opened(self, loan: RunLoan) -> Execution | None:
        """A run as this process works on it; one whose journal can't be read is parked."""
        stored = loan.run
        try:
            input = read(stored.input, Input, "input of a workflow")
            cause = Event(stored.workflow, id=stored.id, origin=input.origin)
            return Execution(
                self.known[stored.workflow],
                loan,
                self.backstage,
                self.threads,
                self.tracked(stored.id).watches,
                cause,
                services=self.backstage.scope(f"workflow {stored.workflow}", self._events),
            )
        except UnreadableRecord as error:
            result = Result(journal=str(error), code="can't read that")
            if stored.losses:  # which are forgotten once it is resumed
                begun = entry(Kind.BEGUN, "", Moment(loan.now))
                await self.backstage.ask(
                    "write to the journal of a workflow", lambda: self.backstage.journal.record(loan.token, [begun])
                )
            self.backstage.log.write(WORKFLOW_PARKED, stored.workflow, stored.id, result.journal, result.code)
            await self.backstage.conclude(loan.token, RunState.PARKED, encode(result), [], 0.0)
            self.tracked(stored.id).stir()
            return None

    # News

    def _stir(self) -> None:
        self._news.set()

    def mail(self) -> None:
        """There may be runs to take up."""
        self._others_wait = self._came = True
        self._stir()

    def _on_heard(self, id: str) -> None:
        if id in self._ids:
            self._heard[id] = None
            self._stir()
        elif self._reserved or id in self._working.values():
            self._early.add(id)
        tracked = self._tracked.get(id)
        if tracked is not None:
            tracked.stir()

    def _on_lost(self) -> None:
        self._is_lost = True
        self.mail()

    async def _stop_lost(self) -> None:
        """After the lease had run out: stop the runs whose loans are worth nothing. Some may be newer than that."""
        self._is_lost = False
        journal = self.backstage.journal
        for token, run in tuple(self.runs.items()):
            if not await self.backstage.ask("tell whose a workflow is", partial(journal.record, token, ())):
                run.stop(Reason.LOST)

    async def _refresh(self) -> None:
        while self._heard:
            id = next(iter(self._heard))
            del self._heard[id]
            loan = await self.backstage.ask("read a workflow", partial(self.backstage.journal.run, id))
            entries = () if loan is None else loan.entries
            run = self._ids.get(id)
            if run is not None:
                run.refresh(entries)

    # Leaving

    def cut_off(self) -> None:
        """End at once, and leave the runs as their journal has them: nothing may be waited for any more."""
        self._life.cancel()

    async def leave(self, drain_within: float) -> None:
        """Let what runs go on for a while; then hand it back, or undo it; then end.

        Cancellation: ends the drain at once; the rest takes no longer than `compensate_within`.
        """
        self._leaving = True
        self._stir()
        try:
            with anyio.move_on_after(drain_within):
                await self._wait_until_empty()
        finally:
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + self.compensate_within):
                self._stop_all(Reason.LEAVING if self.backstage.is_durable else Reason.CANCELLED)
                await self._wait_until_empty()
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + GRACE):
                if self.runs:
                    names = ", ".join(run.id for run in self.runs.values())
                    self.backstage.log.write(WORKFLOWS_LEFT, len(self.runs), self.compensate_within, names)
                    for run in tuple(self.runs.values()):
                        run.stop(Reason.LEAVING)
                    await self._wait_until_empty()
            self.end()

    def end(self) -> None:
        """Serve no more; what is in hand is cancelled, and nothing of it is written."""
        self._life.cancel()

    def _stop_all(self, reason: Reason) -> None:
        self._stop_for = reason
        for run in tuple(self.runs.values()):
            if not run.is_undoing:
                run.stop(reason)

    async def _wait_until_empty(self) -> None:
        while self._working or (self._others_wait and self.known and not self.backstage.is_durable):
            self._changed = anyio.Event()
            await self._changed.wait()
