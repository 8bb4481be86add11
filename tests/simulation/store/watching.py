"""The reference store, watched: the model is told of each call in the very step in which it has its effect.

It stands behind the faults, so that it sees what was done and not what was answered.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

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
from postroom.testing.reference import ReferenceModule, ReferenceSession, ReferenceStore
from postroom.testing.reference.records import KeptDelivery

from .model import StoreModel


@attrs.define(eq=False)
class WatchedStore(ReferenceStore):
    """The store, which tells of the lives of its sessions."""

    model: StoreModel = attrs.field(kw_only=True)

    def begin(self, session: str, now: float) -> None:
        ReferenceStore.begin(self, session, now)
        self.model.renewed(session, now + self.lease)

    def enter(self, session: str, now: float) -> None:
        own = self.sessions.get(session)
        if own is not None and own.lease_until <= now:
            self.model.sometimes.hit("lease kept")
        ReferenceStore.enter(self, session, now)

    def renew(self, session: str, now: float) -> None:
        ReferenceStore.renew(self, session, now)
        self.model.renewed(session, now + self.lease)

    def end(self, session: str, now: float) -> None:
        ReferenceStore.end(self, session, now)
        self.model.ended(session)

    def _drop(self, delivery: KeptDelivery, reason: str) -> None:
        self.model.drops.append((delivery.event.stored.id, delivery.subscription))
        ReferenceStore._drop(self, delivery, reason)

    def expire(self, now: float) -> None:
        before = list(self.sessions)
        ReferenceStore.expire(self, now)
        for session in before:
            if session not in self.sessions:
                self.model.ran_out(session, now)


@attrs.define(eq=False)
class WatchedModule:
    """The module of one process on it."""

    module: ReferenceModule
    model: StoreModel
    is_spurious: Callable[[], bool]
    name: str = attrs.field(default="watched", init=False)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.module.capabilities

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator["WatchedSession"]:
        async with self.module.open(session) as opened:
            yield WatchedSession(opened, self.model, self.is_spurious)


@attrs.define(eq=False)
class WatchedSession:
    """A session. Each call is one step of the session within, and is told in that step.

    Attributes:
        is_spurious: Whether the next news are of nothing.
    """

    session: ReferenceSession
    model: StoreModel
    is_spurious: Callable[[], bool]

    @property
    def id(self) -> str:
        return self.session.id

    async def bind(self, bindings: Sequence[Binding], *, serve: bool) -> None:
        await self.session.bind(bindings, serve=serve)
        self.model.bound(self.id, bindings, serve=serve)

    async def leave(self, names: Collection[str]) -> None:
        await self.session.leave(names)

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        answers = await self.session.publish(number, emits)
        is_new = self.model.is_new(self.id, number, answers)
        for emit, answer in zip(emits, answers, strict=True):
            self.model.published(emit, answer, is_new=is_new)
        self.model.dropped()
        return answers

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        fetched = await self.session.fetch(demand)
        self.model.asked(self.id, demand)
        for loan in fetched.loans:
            self.model.lent(self.id, loan)
        self.model.held_back(demand, fetched)
        return fetched

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> list[bool]:
        taken = await self.session.settle(number, settlements)
        if not self.model.is_new(self.id, number, taken, "settle"):
            return taken
        for settlement, was_taken in zip(settlements, taken, strict=True):
            self.model.settled(self.id, settlement, was_taken=was_taken)
        return taken

    async def reclaim(self, holding: Collection[int]) -> None:
        await self.session.reclaim(holding)
        self.model.reclaimed(self.id, holding)

    async def news(self, seen: int) -> News:
        if self.is_spurious():  # which the contract says is fine
            self.model.sometimes.hit("spurious news")
            await anyio.lowlevel.checkpoint()
            return News(seen, mail=True, room=True, routes=True)
        news = await self.session.news(seen)
        if news.lost:
            self.model.told_lost(self.id)
        return news

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        answer = await self.session.stage(group, events, ttl)
        self.model.staged(self.id, group, events, answer)
        return answer

    async def release(self, number: int, group: str) -> tuple[list[str], Answer]:
        ids, answer = await self.session.release(number, group)
        self.model.released(self.id, group, ids, answer, is_new=self.model.is_new(self.id, number, (ids, answer)))
        self.model.dropped()
        return ids, answer

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        count = await self.session.clear(group, names, reason)
        self.model.cleared(group, count)
        return count

    async def groups(self, limit: int) -> list[StagedGroup]:
        return await self.session.groups(limit)

    async def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        return await self.session.letters(subscription, after, limit)

    async def replay(self, number: int, letter: str) -> Published | None:
        stored = self.session.store.dead.get(letter)
        answer = await self.session.replay(number, letter)
        self.model.replayed(stored, answer, is_new=self.model.is_new(self.id, number, answer))
        return answer

    async def discard(self, letters: Collection[str]) -> int:
        return await self.session.discard(letters)

    async def subscriptions(self) -> list[StoredSubscription]:
        return await self.session.subscriptions()

    async def pause(self, name: str, paused: bool) -> None:
        await self.session.pause(name, paused)
        (self.model.paused.add if paused else self.model.paused.discard)(name)
        if paused and any(each.subscription == name for each in self.model.open):
            self.model.sometimes.hit("paused with deliveries")

    async def remove(self, name: str) -> int:
        return await self.session.remove(name)
