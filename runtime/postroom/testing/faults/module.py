"""The module with faults, and its sessions.

Units: seconds.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from postroom.capabilities import Capability
from postroom.contract import (
    Answer,
    Binding,
    Emit,
    EventModule,
    Fetched,
    News,
    Published,
    Settlement,
    StagedGroup,
    Store,
    StoredLetter,
    StoredSubscription,
)
from postroom.errors import PostroomError
from postroom.journal import HasJournal
from postroom.store_errors import StoreBroken, StoreBusy, StoreFull, UnknownResult

from .journal import FaultyJournal
from .plan import Fault, Plan, all_well

T = TypeVar("T")

NOT_TWICE: Final = frozenset({"news", "fetch", "take"})


@attrs.define(eq=False)
class FaultyModule:
    """An event module whose store fails as a plan says.

    Attributes:
        module: What does the work where nothing fails.
        plan: Asked of each call, of all sessions together; replace it to let the store heal.
        crash: Ends the sessions of `module` as `kill -9` ends a process; for plans with crashes.
        slowness: Seconds that a slow call takes more, before it is done and again afterwards.
        calls: How many were made.
        faults: What went wrong: the number of the call, its name, and how.
    """

    module: EventModule
    plan: Plan = all_well
    crash: Callable[[], None] | None = None
    slowness: float = 1.0
    calls: int = attrs.field(default=0, init=False)
    faults: list[tuple[int, str, Fault]] = attrs.field(factory=list, init=False, repr=False)

    @property
    def name(self) -> str:
        """As the module within."""
        return self.module.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """As the module within."""
        return self.module.capabilities

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator[Store]:
        """A block with one session. To open and to end it never fails.

        Cancellation: as the module within.
        """
        async with self.module.open(session) as store:
            yield FaultyStore(store, self)

    def next_fault(self, call: str) -> Fault | None:
        """What the next call comes to."""
        self.calls += 1
        fault = self.plan(self.calls, call)
        if fault is Fault.TWICE and call in NOT_TWICE:
            return None
        if fault is not None:
            self.faults.append((self.calls, call, fault))
        return fault


@attrs.define(eq=False)
class FaultyStore:
    """A session whose calls fail as its module says."""

    store: Store
    faulty: FaultyModule
    _is_broken: bool = attrs.field(default=False, init=False)

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        fault = self.faulty.next_fault(name)
        if fault is None and not self._is_broken:
            return await call()
        await anyio.lowlevel.checkpoint()
        if fault is Fault.CRASH:
            self._die()
        self._raise_early(fault, name)
        if fault is Fault.SLOW:
            await anyio.sleep(self.faulty.slowness)
        result = await call()
        if fault is Fault.SLOW:
            await anyio.sleep(self.faulty.slowness)
        elif fault is Fault.TWICE:
            await call()
        elif fault is Fault.LOST_REPLY:
            raise UnknownResult(self.faulty.name, name)
        elif fault is Fault.CRASH_AFTER:
            self._die()
            self._raise_early(None, name)
        return result

    def _raise_early(self, fault: Fault | None, name: str) -> None:
        """Raise what is raised before anything is done."""
        match fault:
            case Fault.BUSY:
                raise StoreBusy(self.faulty.name, f"a fault in {name}")
            case Fault.FULL:
                raise StoreFull(self.faulty.name, f"a fault in {name}")
            case Fault.LOST_REQUEST:
                raise UnknownResult(self.faulty.name, name)
            case Fault.BROKEN:
                self._is_broken = True
            case _:
                pass
        if self._is_broken:
            raise StoreBroken(self.faulty.name, f"a fault in {name}", "Open another one.")

    def _die(self) -> None:
        assert self.faulty.crash is not None, "a plan with crashes needs `crash`"
        self.faulty.crash()
        self._is_broken = True

    @property
    def journal(self) -> FaultyJournal:
        """What it keeps of workflows, where the module within has that capability."""
        return FaultyJournal(cast("HasJournal", self.store).journal, self._call)

    async def bind(self, bindings: Sequence[Binding], *, serve: bool) -> None:
        await self._call("bind", lambda: self.store.bind(bindings, serve=serve))

    async def leave(self, names: Collection[str]) -> None:
        await self._call("leave", lambda: self.store.leave(names))

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        return await self._call("publish", lambda: self.store.publish(number, emits))

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        return await self._call("fetch", lambda: self.store.fetch(demand))

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> list[bool]:
        return await self._call("settle", lambda: self.store.settle(number, settlements))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._call("reclaim", lambda: self.store.reclaim(holding))

    async def news(self, seen: int) -> News:
        return await self._call("news", lambda: self.store.news(seen))

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        return await self._call("stage", lambda: self.store.stage(group, events, ttl))

    async def release(self, number: int, group: str) -> tuple[list[str], Answer]:
        return await self._call("release", lambda: self.store.release(number, group))

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        return await self._call("clear", lambda: self.store.clear(group, names, reason))

    async def groups(self, limit: int) -> list[StagedGroup]:
        return await self._call("groups", lambda: self.store.groups(limit))

    async def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        return await self._call("letters", lambda: self.store.letters(subscription, after, limit))

    async def replay(self, number: int, letter: str) -> Published | None:
        return await self._call("replay", lambda: self.store.replay(number, letter))

    async def discard(self, letters: Collection[str]) -> int:
        return await self._call("discard", lambda: self.store.discard(letters))

    async def subscriptions(self) -> list[StoredSubscription]:
        return await self._call("subscriptions", self.store.subscriptions)

    async def pause(self, name: str, paused: bool) -> None:
        await self._call("pause", lambda: self.store.pause(name, paused))

    async def remove(self, name: str) -> int:
        return await self._call("remove", lambda: self.store.remove(name))
