"""The event module on the reference store, and its sessions."""

import math
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import anyio
import anyio.lowlevel
import attrs

from postroom.capabilities import Capability
from postroom.contract import (
    Answer,
    Binding,
    Emit,
    Fetched,
    News,
    Published,
    Settlement,
    StagedGroup,
    StoredLetter,
    StoredSubscription,
)
from postroom.errors import PostroomError
from postroom.store_errors import StoreBroken

from .journal import ReferenceJournal
from .store import ReferenceStore

T = TypeVar("T")

RENEWALS: Final = 3
"""How often a lease is renewed before it would run out."""

CAPABILITIES: Final = frozenset(Capability) - {Capability.NOWAIT}


@attrs.define(eq=False)
class ReferenceModule:
    """An event module for tests: as many runtimes as you like, each with a module of its own, share one store.

    What is accepted outlives a runtime: open another one on the same store to go on. `kill` ends a session as
    `kill -9` ends a process.

    Attributes:
        store: What is shared.
        capabilities: What it promises; a smaller set makes it refuse the rest, as a lesser module would.
    """

    store: ReferenceStore = attrs.field(factory=ReferenceStore)
    capabilities: frozenset[Capability] = attrs.field(default=CAPABILITIES)
    name: str = attrs.field(default="reference", init=False)
    sessions: "list[ReferenceSession]" = attrs.field(factory=list, init=False)

    @asynccontextmanager
    async def open(self, session: str) -> "AsyncGenerator[ReferenceSession]":
        """A block with one session, whose lease is renewed while it lasts."""
        await anyio.lowlevel.checkpoint()
        self.store.begin(session, anyio.current_time())
        opened = ReferenceSession(self.store, session)
        self.sessions.append(opened)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opened.renew_for_ever, name="reference lease")
            try:
                yield opened
            finally:
                tasks.cancel_scope.cancel()
                if not opened.killed:
                    self.store.end(session, anyio.current_time())

    def kill(self) -> None:
        """End the sessions that were opened here, as `kill -9` does: they write nothing more, not even their end."""
        for session in self.sessions:
            session.killed = True

    def stall(self) -> None:
        """Let the sessions that were opened here be taken for dead once, as those of a machine that sleeps are."""
        for session in self.sessions:
            self.store.sessions[session.id].lease_until = -math.inf
        self.store.expire(anyio.current_time())  # by others; they themselves would let their leases go on


@attrs.define(eq=False)
class ReferenceSession:
    """One session: each call is one step of the store, after a checkpoint.

    Attributes:
        killed: It writes nothing more.
    """

    store: ReferenceStore
    id: str
    killed: bool = attrs.field(default=False, init=False)

    async def renew_for_ever(self) -> None:
        """Renew the lease in time, until cancelled.

        Cancellation: the lease runs out by itself.
        """
        while not self.killed:
            self.store.renew(self.id, anyio.current_time())
            await anyio.sleep(self.store.lease / RENEWALS)

    @property
    def journal(self) -> ReferenceJournal:
        """What it keeps of workflows."""
        return ReferenceJournal(self.store, self.id, self.step)

    async def step(self, step: Callable[[float], T]) -> T:
        """One step; cancelled before it, it has not happened."""
        await anyio.lowlevel.checkpoint()
        if self.killed:
            raise StoreBroken("reference", "its session was killed", "Open another one.")
        now = anyio.current_time()
        self.store.enter(self.id, now)
        if self.id not in self.store.sessions:
            self.store.renew(self.id, now)
        return step(now)

    async def bind(self, bindings: Sequence[Binding], *, serve: bool) -> None:
        await self.step(lambda now: self.store.bind(self.id, bindings, serve))

    async def leave(self, names: Collection[str]) -> None:
        await self.step(lambda now: self.store.leave(self.id, names))

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        return await self.step(lambda now: self.store.publish(self.id, number, emits, now))

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        return await self.step(lambda now: self.store.fetch(self.id, demand, now))

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> list[bool]:
        return await self.step(lambda now: self.store.settle(self.id, number, settlements, now))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self.step(lambda now: self.store.reclaim(self.id, holding, now))

    async def news(self, seen: int) -> News:
        await self.step(lambda now: self._forget(seen))
        while True:
            own = self.store.sessions.get(self.id)
            if own is None:
                await self.step(lambda now: None)
                continue
            if own.notices or own.mail or own.room or own.routes or own.lost is not None:
                news = News(
                    max(seen, own.lost or 0, own.notices[-1][0] if own.notices else 0),
                    tuple(notice for _, notice in own.notices),
                    own.mail,
                    own.room,
                    own.routes,
                    own.lost is not None,
                )
                own.mail = own.room = own.routes = False
                return news
            await own.changed.wait()

    def _forget(self, seen: int) -> None:
        own = self.store.sessions[self.id]
        own.notices = [each for each in own.notices if each[0] > seen]
        if own.lost is not None and own.lost <= seen:
            own.lost = None

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        return await self.step(lambda now: self.store.stage(self.id, group, events, ttl, now))

    async def release(self, number: int, group: str) -> tuple[list[str], Answer]:
        return await self.step(lambda now: self.store.release(self.id, number, group, now))

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        return await self.step(lambda now: self.store.clear(group, names, reason))

    async def groups(self, limit: int) -> list[StagedGroup]:
        return await self.step(lambda now: self.store.staged(limit, now))

    async def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        return await self.step(lambda now: self.store.letters(subscription, after, limit))

    async def replay(self, number: int, letter: str) -> Published | None:
        return await self.step(lambda now: self.store.replay(self.id, number, letter, now))

    async def discard(self, letters: Collection[str]) -> int:
        return await self.step(lambda now: self.store.discard(letters))

    async def subscriptions(self) -> list[StoredSubscription]:
        return await self.step(self.store.listing)

    async def pause(self, name: str, paused: bool) -> None:
        await self.step(lambda now: self.store.pause(name, paused))

    async def remove(self, name: str) -> int:
        return await self.step(lambda now: self.store.remove(name))
