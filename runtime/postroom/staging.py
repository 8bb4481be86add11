"""Staging: events that were emitted into a group, and wait there until it is released or cleared.

A staged event is not accepted: it counts nowhere, and who will get it is decided at its release. All groups share
one alarm, set for the one that expires first.

Units: seconds, on the loop's clock.
"""

import math
from collections.abc import Collection
from typing import Final

import attrs

from postroom_actors import Port, Schedule

from .deduplication import Deduplication
from .errors import Closed
from .event import Event
from .listings import StagedGroup
from .log import GROUP_EXPIRED, Log
from .overtime import Alarm
from .staged import CLEARED, Stage, StagedReceipt
from .store_errors import GroupFull as GroupFull

MOST_STAGED: Final = 10_000
"""Events in one group."""

TIME_TO_LIVE: Final = 600.0

CLOSED: Final = "the runtime closed"


@attrs.define
class GroupClosed(Closed):
    """A group was used outside of its block, or its events are gone because they waited for too long."""

    group: str
    reason: str

    def __str__(self) -> str:
        return f"group {self.group!r} can't be used: {self.reason}. Open another one with `async with runtime.group()`."


@attrs.define(eq=False)
class Block:
    """An open block of a group.

    Attributes:
        task: Whose it is; compared by identity only.
        expired: Its events waited for too long and were dropped.
    """

    task: object
    ttl: float
    expired: bool = False


@attrs.define(eq=False)
class Stages:
    """The groups of a runtime, by id."""

    port: Port
    alarms: Schedule[Alarm]
    deduplication: Deduplication
    log: Log
    blocks: dict[str, Block] = attrs.field(factory=dict, init=False)
    _stages: dict[str, Stage] = attrs.field(factory=dict, init=False)
    _alarm_at: float = attrs.field(default=math.inf, init=False)

    def __len__(self) -> int:
        return sum(len(stage.receipts) for stage in self._stages.values())

    def open(self, id: str, block: Block) -> None:
        """The block of a group begins."""
        self.blocks[id] = block
        stage = self._stages.get(id)
        if stage is not None:
            stage.task = block.task

    def find(self, id: str) -> Stage | None:
        """What is staged under this id; never an empty group."""
        return self._stages.get(id)

    def listing(self, limit: int) -> list[StagedGroup]:
        """The groups in which something is staged, those first that expire first; at most so many."""
        found = sorted(self._stages.values(), key=lambda stage: (stage.expires_at, stage.id))[:limit]
        left = [(stage, stage.expires_at - self.port.now()) for stage in found]
        return [StagedGroup(stage.id, len(stage.receipts), None if left == math.inf else left) for stage, left in left]

    def room_in(self, id: str) -> int:
        """How many more events the group may hold."""
        stage = self._stages.get(id)
        return MOST_STAGED if stage is None else MOST_STAGED - len(stage.receipts)

    def add(self, event: Event, draft: Event | None, require: bool, id: str) -> StagedReceipt:
        """Stage an event, the last in its group; the first one begins it.

        Raises:
            GroupFull: nothing was staged.
        """
        if not self.room_in(id):
            raise GroupFull(id, MOST_STAGED)
        stage = self._stages.get(id) or self._begin(id)
        receipt = StagedReceipt(event, (), stage=stage, draft=draft, require=require)
        stage.receipts.append(receipt)
        if draft is not None:
            self.deduplication.reserve(draft, id, receipt)
        return receipt

    def _begin(self, id: str) -> Stage:
        block = self.blocks.get(id)
        ttl, task = (TIME_TO_LIVE, None) if block is None else (block.ttl, block.task)
        stage = self._stages[id] = Stage(id, self.port, ttl, task, self.port.now() + ttl)
        self._set_alarm(stage.expires_at)
        return stage

    def forget(self, stage: Stage) -> None:
        """The group is over: its id begins a new one."""
        del self._stages[stage.id]
        self._free_ids(stage.receipts)

    def _free_ids(self, receipts: Collection[StagedReceipt]) -> None:
        for receipt in receipts:
            if receipt.draft is not None:
                self.deduplication.free(receipt.draft, receipt.stage.id)

    def clear(self, id: str, names: Collection[str] | None = None, reason: str = CLEARED) -> int:
        """Drop the events of a group, only those of these names where any are given; returns how many."""
        stage = self._stages.get(id)
        if stage is None:
            return 0
        dropped = [each for each in stage.receipts if names is None or each.event.name in names]
        if len(dropped) == len(stage.receipts):
            self.forget(stage)
        else:
            stage.receipts = [each for each in stage.receipts if each.event.name not in (names or ())]
            self._free_ids(dropped)
        for each in dropped:
            each.clear(reason)
        return len(dropped)

    def look(self) -> None:
        """The alarm: drop what has expired, and say so."""
        now = self.port.now()
        if now < self._alarm_at:
            return  # an alarm from before an earlier one was set
        for stage in [stage for stage in self._stages.values() if stage.expires_at <= now]:
            block = self.blocks.get(stage.id)
            if block is not None:
                block.expired = True
            count = self.clear(stage.id, reason=f"it was not released within {stage.ttl:g} s")
            self.log.write(GROUP_EXPIRED, stage.id, stage.ttl, count)
        self._alarm_at = math.inf
        self._set_alarm(min((stage.expires_at for stage in self._stages.values()), default=math.inf))

    def _set_alarm(self, due: float) -> None:
        if due < self._alarm_at:
            self._alarm_at = due
            self.alarms.set(due, self)

    def close(self) -> None:
        """Drop everything: the runtime has ended."""
        for id in tuple(self._stages):
            self.clear(id, reason=CLOSED)
