"""The world of a check: one fresh store, the runtimes that share it as processes would, and how time passes there.

Units: seconds on the event loop's clock.
"""

import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import attrs

from postroom.contract import EventModule, Store
from postroom.local import Local
from postroom.runtime import Runtime
from postroom.store_errors import StoreBroken
from postroom.subscriber import Subscriber
from postroom_actors import current_port

VIRTUAL_MOMENT = 1.0
REAL_MOMENT = 0.05


@attrs.define(eq=False)
class _Process:
    """A runtime in a task of its own, so that it may end before the check does."""

    runtime: Runtime
    module: Any
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    leave: anyio.Event = attrs.field(factory=anyio.Event)
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    killed: bool = False


@attrs.define(eq=False)
class World:
    """One store and who works on it. Made anew for each check.

    Attributes:
        make: Makes an event module on this world's store; each call is for one more process.
        kill: Ends what was opened by a module that `make` made, as `kill -9` does: from now on it writes nothing, not
            even its end. None where that can't be shown.
        stall: Has others take what such a module has opened for dead, though it lives. None where that can't be shown.
        lease: Seconds after which the store takes a session that has gone silent for dead.
        window: Seconds after which the store forgets an id of the user's own. None where that is too long to wait for.
        moment: The unit of the checks' waits; None for one that suits the loop's clock: a second where time is
            virtual, 0.05 s where it is real.
    """

    make: Callable[[], "EventModule | Local"]
    kill_module: Callable[[Any], None] | None = attrs.field(default=None, alias="kill")
    stall_module: Callable[[Any], None] | None = attrs.field(default=None, alias="stall")
    lease: float = 15.0
    window: float | None = None
    _moment: float | None = None
    _tasks: anyio.abc.TaskGroup = attrs.field(init=False)
    _processes: dict[Runtime, _Process] = attrs.field(factory=dict, init=False)
    _numbers: Iterator[int] = attrs.field(factory=itertools.count, init=False)

    @property
    def moment(self) -> float:
        """The unit of waits."""
        if self._moment is None:
            is_real = current_port().stopwatch is time.perf_counter
            self._moment = REAL_MOMENT if is_real else VIRTUAL_MOMENT
        return self._moment

    @property
    def patience(self) -> float:
        """How long anything may take before the check fails."""
        return 400 * self.moment + 6 * self.lease + (self.window or 0.0)

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if error is None:
            for process in self._processes.values():
                process.leave.set()
        return await self._tasks.__aexit__(kind, error, traceback)

    async def start(self, *subscribers: Subscriber[..., Any], **options: Any) -> Runtime:
        """Start a process: a runtime on a module of its own. It ends with the check, or by `stop` or `kill`.

        Raises:
            Whatever `Runtime` raises when it is made.

        Cancellation: it was started, or not; the check ends it.
        """
        module = self.make()
        options.setdefault("portable", isinstance(module, Local))  # as strict as a store
        runtime = Runtime(module=module, subscribers=subscribers, **options)
        process = _Process(runtime, module)
        await self._tasks.start(self._live, process)
        self._processes[runtime] = process
        return runtime

    async def stop(self, runtime: Runtime) -> None:
        """End a process as one should: it drains.

        Cancellation: it goes on ending.
        """
        process = self._processes.pop(runtime)
        process.leave.set()
        await process.ended.wait()

    async def kill(self, runtime: Runtime) -> None:
        """End a process as `kill -9` does.

        Cancellation: it goes on ending.
        """
        assert self.kill_module is not None, "this world can't show it: ask for the checks without `kills`"
        process = self._processes.pop(runtime)
        process.killed = True
        self.kill_module(process.module)
        process.scope.cancel()
        await process.ended.wait()

    def stall(self, runtime: Runtime) -> None:
        """Have a process taken for dead by others, though it lives."""
        assert self.stall_module is not None, "this world can't show it: ask for the checks without `stalls`"
        self.stall_module(self._processes[runtime].module)

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Store]:
        """A block with a bare session on the store.

        Cancellation: ends the session.
        """
        module = self.make()
        assert not isinstance(module, Local), "it has no store"
        async with module.open(f"session-{next(self._numbers)}") as store:
            yield store

    @asynccontextmanager
    async def mortal(self) -> AsyncGenerator[tuple[Store, Any]]:
        """A block with a bare session, and what `kill_session` and `stall_session` take.

        Cancellation: ends the session, unless it was killed.
        """
        module = self.make()
        assert not isinstance(module, Local), "it has no store"
        async with module.open(f"session-{next(self._numbers)}") as store:
            yield store, module

    def kill_session(self, module: Any) -> None:
        """End a session as `kill -9` does."""
        assert self.kill_module is not None, "this world can't show it: ask for the checks without `kills`"
        self.kill_module(module)

    def stall_session(self, module: Any) -> None:
        """Have a session taken for dead by others, though it lives."""
        assert self.stall_module is not None, "this world can't show it: ask for the checks without `stalls`"
        self.stall_module(module)

    async def wait(self, moments: float = 1.0) -> None:
        """Let some moments pass.

        Cancellation: changes nothing.
        """
        await anyio.sleep(moments * self.moment)

    async def pass_window(self, part: float) -> None:
        """Let a part of the window pass in which ids are remembered.

        Cancellation: changes nothing.
        """
        assert self.window is not None, "this world can't show it: ask for the checks without `forgets`"
        await anyio.sleep(part * self.window)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: it did not come to hold within `patience`.

        Cancellation: changes nothing.
        """
        with anyio.fail_after(self.patience):
            while not condition():
                await self.wait(0.1)

    async def _live(self, process: _Process, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            with process.scope:
                async with process.runtime:
                    task_status.started()
                    await process.leave.wait()
        except* StoreBroken:
            if not process.killed:
                raise
        finally:
            process.ended.set()
