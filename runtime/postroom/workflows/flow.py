"""The flow: what a workflow's function asks for steps, events and time.

Whatever it says is the same when the workflow runs again, so code that decides by it does the same again.
"""

import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, Generic, TypeVar, Unpack, overload

import anyio
import anyio.lowlevel
import attrs

from ..checks import check_number
from ..codec import UnreadableRecord, message_of, type_of
from ..errors import InvalidOption
from ..event_types import Emitted
from ..names import tokens_of_name
from ..options import EmitOptions
from ..receipt import Receipt
from ..retry import leaves_of
from .declaring import Step, Workflow
from .errors import InvalidWorkflow, NotSignalled, PermanentFailure, StepFailed, WorkflowTimeout
from .execution import Execution
from .places import Place
from .records import Kind, Moment, WrittenEvent, derived, entry, read_event, read_value, write_events
from .replay import Mismatch
from .stepping import perform
from .undoing import undo

R = TypeVar("R")

_NOT_YET: Final = object()


@attrs.define(eq=False)
class Pending(Generic[R]):
    """A step that runs together with others. Await it within their block, or read its `value` after it."""

    path: str
    _value: Any = attrs.field(default=_NOT_YET, init=False)
    _done: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    @property
    def value(self) -> R:
        """What the step returned.

        Raises:
            InvalidOption: it has not finished.
        """
        if self._value is _NOT_YET:
            raise InvalidOption("value", self.path, "has not finished; read it after the block, or await it")
        return self._value  # type: ignore[no-any-return]  # what the step returned

    def __await__(self) -> Any:
        return self.wait().__await__()

    async def wait(self) -> R:
        """Wait until the step has finished. Where it fails, the block is cancelled.

        Cancellation: changes nothing.
        """
        await self._done.wait()
        return self.value

    def _finish(self, value: R) -> None:
        self._value = value
        self._done.set()


@attrs.define(eq=False)
class Together:
    """A block of steps that run side by side; made by `flow.together`. When one fails, the others are cancelled."""

    _flow: "Flow"
    _tasks: "anyio.abc.TaskGroup"

    def run(self, what: "Step[R] | Workflow[R]", *arguments: Any, key: str | None = None, **options: Any) -> Pending[R]:
        """Begin a step, or a nested workflow, beside the others. Which one it is, is told by the order of these calls.

        Raises:
            InvalidWorkflow, InvalidOption, AmbiguousStep: nothing was begun.
        """
        flow = self._flow
        path, _ = flow._path(what, key)
        pending: Pending[R] = Pending(path)

        async def doing() -> None:
            pending._finish(await flow._do(what, path, False, arguments, options))

        self._tasks.start_soon(doing, name=path)
        return pending


@attrs.define(eq=False)
class Flow:
    """One run of a workflow, as its function sees it.

    Attributes:
        id: Of the run.
        workflow: The name of the workflow that the run is of.
    """

    _run: Execution
    _place: Place

    def __repr__(self) -> str:
        return f"<Flow of {self.workflow} {self.id!r}>"

    @property
    def id(self) -> str:
        """Of the run."""
        return self._run.id

    @property
    def workflow(self) -> str:
        """The name of the workflow that the run is of."""
        return self._run.workflow.name

    @overload
    async def run(self, what: Step[R], *arguments: Any, key: str | None = None, **options: Any) -> R: ...
    @overload
    async def run(self, what: Workflow[R], *arguments: Any, key: str | None = None) -> R: ...

    async def run(self, what: Any, *arguments: Any, key: str | None = None, **options: Any) -> Any:
        """Run a step, or another workflow as one, and return its output. What is recorded of it is not run again.

        Args:
            arguments, options: What the step's function gets, beside its context.
            key: Names this call where its place can't: in tasks that run side by side.

        Raises:
            StepFailed: it has failed for good. Caught, the workflow goes on.
            InvalidWorkflow, InvalidOption, AmbiguousStep: nothing was begun.

        Cancellation: the step is cancelled. Where the run is undone, so is that step, with None for what it did.
        """
        path, in_order = self._path(what, key)
        return await self._do(what, path, in_order, arguments, options)

    @asynccontextmanager
    async def together(self) -> AsyncIterator[Together]:
        """A block in which steps run side by side: `together.run(step, …)`; it ends when all of them have.

        Raises:
            StepFailed: one has failed, and the others were cancelled; an ExceptionGroup where several have.

        Cancellation: cancels the steps.
        """
        path, _ = self._place.path("together")
        inner = Flow(self._run, Place(self._run.backstage.port, f"{path}/", in_order=False))
        try:
            async with anyio.create_task_group() as tasks:
                yield Together(inner, tasks)
        except BaseExceptionGroup as group:
            leaves = list(leaves_of(group))
            if len(leaves) == 1:
                raise leaves[0] from leaves[0].__cause__
            raise

    def _path(self, what: object, key: str | None) -> tuple[str, bool]:
        if not isinstance(what, Step | Workflow):
            raise InvalidWorkflow(what, "`run` takes a function that is declared with `@step` or `@workflow`")
        return self._place.path(what.name, key)

    async def _do(
        self, what: Any, path: str, in_order: bool, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if isinstance(what, Step):
            return await perform(self._run, what, path, in_order, arguments, options)
        return await self._nested(what, path, arguments)

    async def _nested(self, what: Workflow[R], path: str, arguments: tuple[Any, ...]) -> R:
        """Another workflow as a step: its steps are this run's. When it fails they are undone, and it has failed."""
        run, prefix = self._run, f"{path}/"
        inner = Flow(run, Place(run.backstage.port, prefix))
        scope = anyio.CancelScope()
        is_expired = run.replay.moment(Kind.TIMED_OUT, path) is not None
        if is_expired:
            run.expired[prefix] = scope
        elif what.timeout is not None and run.seeking is None:
            is_new = run.replay.moment(Kind.WAIT, path) is None
            due = run.moment(Kind.WAIT, path, lambda: run.times.now() + (what.timeout or 0.0))
            if is_new:
                await run.recorded()  # or its time would begin anew in another process
            run.limits[prefix] = (scope, due)
            if is_new:
                run.go_live(prefix)
        error: Exception
        try:
            with scope:
                value = await what.function(inner, *arguments)
                if not is_expired:
                    return value
            assert what.timeout is not None or is_expired, "or its deadline would never come"
            error = WorkflowTimeout(what.name, what.timeout or 0.0)
            if not is_expired:
                await run.recorded(entry(Kind.TIMED_OUT, path, Moment(run.times.now())))
        except Exception as failure:
            error = WorkflowTimeout(what.name, what.timeout or 0.0) if is_expired else failure
        finally:
            run.expired.pop(prefix, None)
            run.limits.pop(prefix, None)
        if run.reason is not None:
            await run.halt()
        if run.seeking is None:
            await undo(run, prefix)
        run.stash.drop(lambda emitted_at: emitted_at.startswith(prefix), "the workflow that emitted it has failed")
        raise StepFailed(path, 1, type_of(error), message_of(error)) from error

    async def emit(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """Stage an event: it goes out when the run succeeds, in its order with those of the steps, all or none.

        Arguments as `Runtime.emit`, which is the way to emit at once instead.

        Returns:
            A receipt that can't be awaited before the run has ended.

        Raises:
            Exception: as `Runtime.emit`.

        Cancellation: nothing was staged.
        """
        path, _ = self._place.path("emit")
        await anyio.lowlevel.checkpoint()
        run = self._run
        known = run.replay.event(path)
        if known is None:
            waiting = run.stash.draft(path, name, data, options)
            if run.seeking is None:
                run.later(entry(Kind.EMIT, path, _written(waiting.draft)))
        else:
            try:
                waiting = run.stash.hold(path, read_event(known))
            except UnreadableRecord as error:
                run.park(Mismatch(f"event {path}", f"can't read it ({error})"))
                await run.halt()
        run.hold(path, [waiting])
        return waiting.receipt

    async def sleep(self, seconds: float) -> None:
        """Wait; the time at which this is over is in the journal, so it goes on while no process has the run.

        Raises:
            InvalidOption: no time to wait.

        Cancellation: changes nothing.
        """
        check_number("seconds", seconds, "seconds")
        path, _ = self._place.path("sleep")
        run = self._run
        is_new = run.replay.moment(Kind.SLEEP, path) is None
        if is_new and run.seeking is not None:
            await run.halt(path)
        due = run.moment(Kind.SLEEP, path, lambda: run.times.now() + seconds)
        if due > run.times.now() and (
            run.is_expired(path)
            or (run.in_doubt and not run.seeking)
            or (run.seeking is None and not run.go_live(path))
        ):
            await run.halt(path)  # nobody has come past this
        if is_new:
            await run.recorded()
        with run.waiting(due):
            await run.times.sleep_until(-math.inf if run.seeking is not None else due)

    async def wait_for(self, name: str, *, within: float | None = None, type: Any = Any) -> Any:
        """Wait for a signal from outside: `workflows.signal(id, name, value)`. One that came before counts.

        Args:
            within: Seconds; the deadline is in the journal, as of `sleep`.
            type: What the value is to be read as, such as a class of yours.

        Returns:
            The value of the signal; the same for everybody who waits for this name in this run.

        Raises:
            PermanentFailure: the signal says that it has failed.
            NotSignalled: it did not come in time.
            UnreadableRecord: its value is not what `type` says.
            InvalidName, InvalidOption: it can't be one.

        Cancellation: changes nothing.
        """
        tokens_of_name(name)
        if within is not None:
            check_number("within", within, "seconds")
        path, _ = self._place.path(f"wait-{name}")
        run = self._run
        await anyio.lowlevel.checkpoint()
        due = math.inf
        if within is not None:
            is_new = run.replay.moment(Kind.WAIT, path) is None
            due = run.moment(Kind.WAIT, path, lambda: run.times.now() + within)
            if is_new and run.seeking is None and name not in run.replay.signals:
                await run.recorded()
        if run.replay.moment(Kind.TIMED_OUT, path) is not None:
            raise NotSignalled(name, within or 0.0)
        if name not in run.replay.signals and (
            run.seeking is not None or run.is_expired(path) or not run.go_live(path)
        ):
            await run.halt(path)
        with anyio.move_on_after(max(0.0, due - run.times.now())):
            while name not in run.replay.signals:
                with run.waiting():
                    await run.stirred()
        signal = run.replay.signals.get(name)
        if signal is None:
            await run.recorded(entry(Kind.TIMED_OUT, path, Moment(run.times.now())))
            raise NotSignalled(name, within or 0.0)
        if signal.failure is not None:
            raise PermanentFailure(signal.failure)
        return read_value(signal.value, type, f"signal {name}")

    async def hook(self, name: str, data: Any = None) -> list[Any]:
        """Run the handlers of a hook of this workflow, in the order declared, each as a step; their outputs.

        Raises:
            StepFailed: one has failed; those after it did not run.

        Cancellation: as `run`.
        """
        path, _ = self._place.path(name)
        inner = Flow(self._run, Place(self._run.backstage.port, f"{path}/"))
        return [await inner.run(handler, data) for handler in self._run.workflow.hooks.get(name, [])]

    def now(self) -> datetime:
        """The time of day, in UTC; the same whenever the workflow runs again."""
        path, _ = self._place.path("now")
        return datetime.fromtimestamp(self._run.moment(Kind.NOW, path, self._run.times.now), UTC)

    @property
    def random(self) -> Random:
        """A new source of randomness each time it is asked for; the same numbers whenever the workflow runs again."""
        path, _ = self._place.path("random")
        return Random(derived(self.id, path))

    def uuid(self) -> uuid.UUID:
        """A new unique id; the same whenever the workflow runs again."""
        path, _ = self._place.path("uuid")
        return uuid.UUID(derived(self.id, path))


def _written(draft: Any) -> WrittenEvent:
    return write_events([draft])[0]
