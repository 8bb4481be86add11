"""A session as the runtime sees it: each call is one script, and its answer."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import anyio
import attrs
from anyio.abc import TaskGroup, TaskStatus

from postroom.codec import encode_outcome
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
from postroom.log import LEASE_AT_RISK, STORE_OPENED, THREAD_LEFT, Log
from postroom.outcomes import Cancelled
from postroom.store_errors import StoreBroken, StoreBusy

from . import scripts, wire
from .caller import Caller, written
from .faults import MODULE, StaleCall
from .finding import Finder
from .journal import RedisJournal
from .lease import LeaseKeeper
from .link import Link
from .opening import Greeting
from .publishing import Publishing
from .settings import Settings

REMOVED: Final = "its subscription was removed"

END_WITHIN: Final = 2.0
"""Seconds for the end of a session; where that is not enough, its lease runs out by itself."""


@attrs.define(eq=False)
class RedisSession:
    """One session; see `Store` in the contract for what each call means."""

    _caller: Caller
    _calls: Link
    _news: Link
    _publishing: Publishing
    _offset: int = attrs.field(default=0, init=False)
    _told: int = attrs.field(default=0, init=False)
    _life: str = attrs.field(default="", init=False)

    async def _call(self, script: scripts.Script, *arguments: Any) -> Any:
        return await self._caller.call(self._calls, script, *arguments)

    @property
    def journal(self) -> RedisJournal:
        """What it keeps of workflows."""
        return RedisJournal(self._caller, self._calls, self._publishing)

    async def bind(self, bindings: Sequence[Binding], *, serve: bool) -> None:
        for each in bindings:
            _, served = self._caller.bindings.get(each.name, (None, False))
            self._caller.bindings[each.name] = (each, serve or served)
        await self._call(scripts.BIND, written(bindings), serve)

    async def leave(self, names: Collection[str]) -> None:
        for name in names:
            if name in self._caller.bindings:
                self._caller.bindings[name] = (self._caller.bindings[name][0], False)
        await self._call(scripts.LEAVE, list(names))

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        return await self._publishing.publish(number, emits)

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        names = list(demand)
        return wire.fetched(await self._call(scripts.FETCH, names, list(demand.values())), names)

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> list[bool]:
        return cast("list[bool]", wire.answer(await self._call(scripts.SETTLE, number, wire.steps(settlements))))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._call(scripts.RECLAIM, list(holding))

    async def news(self, seen: int) -> News:
        while True:
            if self._life != self._caller.life:  # it counts anew
                self._life, self._offset = self._caller.life, self._told
            life, after = self._life, max(0, seen - self._offset)
            await self._wait_for_entry(after)
            try:
                news = wire.news(await self._caller.call(self._news, scripts.NEWS, after, life))
            except StaleCall:
                continue
            if news.notices or news.mail or news.room or news.routes or news.lost:
                self._told = self._offset + news.number
                return News(self._told, news.notices, news.mail, news.room, news.routes, news.lost)

    async def _wait_for_entry(self, after: int) -> None:
        """Wait until the session's stream has an entry, or a while: a reply that never comes is noticed, too."""
        settings = self._caller.settings
        stream = f"{settings.prefix}s:{self._caller.session}"
        block = round(settings.block * 1000)
        await self._news.ask(
            "wait for news",
            b"XREAD",
            *(b"COUNT", 1, b"BLOCK", block, b"STREAMS", stream, f"{after}-0"),
            within=2 * settings.block,
        )

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        return await self._publishing.stage(group, events, ttl)

    async def release(self, number: int, group: str) -> tuple[list[str], Answer]:
        return await self._publishing.release(number, group)

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        wanted = False if names is None else list(names)
        return cast("int", wire.answer(await self._call(scripts.CLEAR, group, wanted, reason)))

    async def groups(self, limit: int) -> list[StagedGroup]:
        return wire.groups(await self._call(scripts.GROUPS, limit))

    async def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        return wire.letters(await self._call(scripts.LETTERS, subscription or False, after or False, limit))

    async def replay(self, number: int, letter: str) -> Published | None:
        reply = wire.answer(await self._call(scripts.REPLAY, number, letter))
        return None if reply is None else Published(reply[0], (reply[1],))

    async def discard(self, letters: Collection[str]) -> int:
        return cast("int", wire.answer(await self._call(scripts.DISCARD, list(letters))))

    async def subscriptions(self) -> list[StoredSubscription]:
        return wire.listing(await self._call(scripts.LISTING))

    async def pause(self, name: str, paused: bool) -> None:
        await self._call(scripts.PAUSE, name, paused)

    async def remove(self, name: str) -> int:
        outcome = wire.raw(encode_outcome(Cancelled(name, REMOVED, 0, 0.0)))
        return cast("int", wire.answer(await self._call(scripts.REMOVE, name, outcome)))


@asynccontextmanager
async def open_session(settings: Settings, session: str, greeting: Greeting) -> AsyncGenerator[RedisSession]:
    """A block with one session.

    Raises:
        StoreBroken: there is none.

    Cancellation: ends it; where the server can't be told in time, its lease runs out by itself.
    """
    log = Log()
    caller = Caller(settings, session, greeting, log)
    keeper = LeaseKeeper(settings, caller.blob, lambda error: log.write(LEASE_AT_RISK, MODULE, error))
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        connections = await tasks.start(_hold_connections, name="postroom redis connections")
        finder = Finder(settings)
        calls, news = (Link(finder, connections, greeting.greet, settings.wait_for_server) for _ in range(2))
        try:
            await _begin(caller, calls)
            guarantee = greeting.guarantee
            log.write(STORE_OPENED, MODULE, str(settings.place), guarantee.text if guarantee else "")
            await keeper.start()
            yield RedisSession(caller, calls, news, Publishing(caller, calls))
        except Exception as error:
            failure = error  # as it is: the task group would wrap it
        finally:
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + END_WITHIN):
                if not await keeper.stop(END_WITHIN):
                    log.write(THREAD_LEFT, MODULE)
                await _end(caller, calls)
            calls.close()
            news.close()
            connections.cancel_scope.cancel()
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _hold_connections(*, task_status: TaskStatus[TaskGroup]) -> None:
    """Let connections live until the end of the session says that they are over.

    Whoever cancels the block does not cut them off: over them the server is told to lend to others what this session
    has in hand. `open_session` bounds how long that may take.
    """
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as connections:
            task_status.started(connections)
            await anyio.sleep_forever()


async def _begin(caller: Caller, calls: Link) -> None:
    try:
        await caller.begin(calls)
    except StoreBusy as error:
        raise StoreBroken(
            MODULE, error.reason, "Start it, look at the URL, or let `wait_for_server` be longer."
        ) from error


async def _end(caller: Caller, calls: Link) -> None:
    if not caller.beginnings:
        return
    calls.patience = 0.0
    try:
        await calls.run(scripts.END, caller.key, caller.blob())
    except PostroomError as error:
        # The lease runs out by itself, and others take over what was lent.
        caller.log.write(LEASE_AT_RISK, MODULE, type(error).__name__)
