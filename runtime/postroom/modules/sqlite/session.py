"""A session as the runtime sees it: each call is a step that the worker runs, and its result."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, cast

import anyio
import anyio.lowlevel
import attrs

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
from postroom.errors import Full, PostroomError
from postroom.store_errors import StoreBroken, UnknownResult
from postroom_actors import Port, Sleeper, current_port

from . import groups, lending, lives, operating, publishing, settling
from .faults import MODULE
from .journal import SqliteJournal
from .transaction import LOST, MAIL, NOTICES, ROOM, ROUTES
from .worker import Call, Settings, Step, Worker

END_WITHIN: Final = 5.0
"""Seconds for the end of a session, beside those for which it waits while others write."""

LAST_WAIT: Final = 2.0
"""Seconds for a thread that should have ended."""


@attrs.define(eq=False)
class SqliteSession:
    """One session; see `Store` in the contract for what each call means."""

    _port: Port
    _worker: Worker = attrs.field(init=False)
    _sleeper: Sleeper = attrs.field(init=False)
    _what: int = attrs.field(default=0, init=False)
    _newest: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self._port.sleeper()

    async def begin(self, settings: Settings, name: str) -> None:
        """Start the worker.

        Raises:
            StoreBroken, StoreBusy, StoreFull: there is no session.
        """
        self._worker = Worker(settings, name, self._port, self._tell)
        opened = Call(lives.begin, self._port.sleeper())
        self._worker.start(opened)
        await _until_done(opened)

    async def end(self) -> None:
        """End the session, and its thread."""
        # Where the file can't be written, the lease runs out by itself, and others take over what was lent.
        with suppress(Full, StoreBroken, UnknownResult):
            await self._run(lives.end)
        await self.stop()

    async def stop(self) -> None:
        """End the thread."""
        self._worker.stop()
        while not self._worker.ended:
            await self._sleeper.park()

    def stop_now(self) -> None:
        """End the thread, however long that blocks the event loop, within reason.

        Raises:
            StoreBroken: it goes on.
        """
        self._worker.hurry()
        self._worker.stop()
        if not self._worker.join(LAST_WAIT):
            raise StoreBroken(MODULE, "its thread does not end: the disk does not answer", "Look at the disk.")

    def _tell(self, what: int) -> None:
        self._what |= what
        self._sleeper.wake()

    async def _run(self, step: Step) -> Any:
        worker = self._worker
        call = Call(step, self._port.sleeper())
        if worker.submit(call):
            try:
                # All tasks that can run have their turn first: what they ask for shares a commit. On trio, where any of
                # those that were woken together may be the first, they have had it only after two turns.
                await self._port.breathe()
                if self._port.library == "trio" and not worker.has_company:
                    await self._port.breathe()
            except BaseException:
                call.withdrawn = True
                raise
            finally:
                worker.ring()
        return await _until_done(call)

    async def _run_at_once(self, step: Step) -> Any:
        """As `_run`, for what nobody is likely to come along with."""
        call = Call(step, self._port.sleeper())
        if self._worker.submit(call):
            self._worker.ring()
        return await _until_done(call)

    @property
    def journal(self) -> SqliteJournal:
        """What it keeps of workflows."""
        return SqliteJournal(self._run)

    async def bind(self, bindings: Sequence[Binding], *, serve: bool) -> None:
        await self._run(partial(operating.bind, bindings=bindings, serve=serve))

    async def leave(self, names: Collection[str]) -> None:
        await self._run(partial(operating.leave, names=names))

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        return cast("list[Answer]", await self._run(partial(publishing.publish, number=number, emits=emits)))

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        return cast("Fetched", await self._run(partial(lending.fetch, demand=demand)))

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> list[bool]:
        run = self._run_at_once if len(settlements) == 1 else self._run  # one is mostly all that there is in hand
        return cast("list[bool]", await run(partial(settling.settle, number=number, settlements=settlements)))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._run(partial(settling.reclaim, holding=holding))

    async def news(self, seen: int) -> News:
        await anyio.lowlevel.checkpoint()
        if seen < self._newest:
            self._what |= NOTICES  # told before, and not heard
        while True:
            self._worker.check()
            found = await self._notices(seen) if self._what & NOTICES else News(seen)
            what = self._what & ~NOTICES
            if what or found.notices:
                self._what &= NOTICES
                self._newest = max(self._newest, found.number)
                return News(
                    found.number,
                    found.notices,
                    bool(what & MAIL),
                    bool(what & ROOM),
                    bool(what & ROUTES),
                    bool(what & LOST),
                    found.forgotten,
                )
            if not self._what & NOTICES:  # of some that came while it was asked, nobody wakes it once more
                await self._sleeper.park()

    async def _notices(self, seen: int) -> News:
        self._what &= ~NOTICES
        try:
            return cast("News", await self._run(partial(operating.notices, seen=seen)))
        except BaseException:
            self._what |= NOTICES  # they are still there
            raise

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        return cast(
            "list[Published | None] | PostroomError",
            await self._run(partial(groups.stage, group=group, events=events, ttl=ttl)),
        )

    async def release(self, number: int, group: str) -> tuple[list[str], Answer]:
        return cast("tuple[list[str], Answer]", await self._run(partial(groups.release, number=number, group=group)))

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        return cast("int", await self._run(partial(groups.clear, group=group, names=names, reason=reason)))

    async def groups(self, limit: int) -> list[StagedGroup]:
        return cast("list[StagedGroup]", await self._run(partial(groups.listing, limit=limit)))

    async def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        return cast(
            "list[StoredLetter]",
            await self._run(partial(operating.letters, subscription=subscription, after=after, limit=limit)),
        )

    async def replay(self, number: int, letter: str) -> Published | None:
        return cast("Published | None", await self._run(partial(operating.replay, number=number, letter=letter)))

    async def discard(self, letters: Collection[str]) -> int:
        return cast("int", await self._run(partial(operating.discard, letters=letters)))

    async def subscriptions(self) -> list[StoredSubscription]:
        return cast("list[StoredSubscription]", await self._run(operating.subscriptions))

    async def pause(self, name: str, paused: bool) -> None:
        await self._run(partial(operating.pause, name=name, paused=paused))

    async def remove(self, name: str) -> int:
        return cast("int", await self._run(partial(operating.remove, name=name)))


async def _until_done(call: Call) -> Any:
    try:
        while not call.done:
            await call.sleeper.park()
    except BaseException:
        call.withdrawn = True  # it won't begin, where it has not yet
        raise
    if call.error is not None:
        raise call.error
    return call.result


@asynccontextmanager
async def open_session(settings: Settings, name: str) -> AsyncGenerator[SqliteSession]:
    """A block with one session, whose thread ends with it."""
    session = SqliteSession(current_port())
    end_within = settings.busy_timeout + END_WITHIN
    try:
        await session.begin(settings, name)
    except BaseException:
        await _within(end_within, session.stop, session)
        raise
    try:
        yield session
    finally:
        await _within(end_within, session.end, session)


async def _within(seconds: float, end: Any, session: SqliteSession) -> None:
    """End a session's thread, also where the caller is cancelled."""
    with anyio.move_on_after(seconds, shield=True):
        await end()
    session.stop_now()
