"""Running a step: from the journal where it is there, else by its policy, and then into the journal."""

from typing import Any

import anyio
import anyio.lowlevel
import attrs

from postroom_actors import Verdict, judge

from ..codec import RemoteFailure, UnreadableRecord
from ..errors import NotPortable
from .attempts import Attempts, Exhausted, called
from .context import StepContext
from .declaring import Skip, Step, StepAnswer
from .errors import StepFailed
from .execution import GOES_ON_ELSEWHERE, Execution, Reason
from .records import (
    Done,
    Failure,
    Kind,
    Moment,
    derived,
    entry,
    failure_of,
    read_event,
    read_value,
    write_events,
    write_value,
)
from .replay import Mismatch
from .staging import Buffer, current_buffer


@attrs.frozen(eq=False)
class Call:
    """A function of a step, and what it is called with."""

    path: str
    function: Any
    is_async: bool
    takes_context: bool
    arguments: tuple[Any, ...]
    options: dict[str, Any]


async def perform(
    run: Execution, step: Step[Any], path: str, in_order: bool, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """The output of a step.

    Raises:
        StepFailed: it has failed for good.

    Cancellation: it is interrupted, and counts as failed where the workflow goes on.
    """
    known: Done | Failure | None = None
    try:
        known = run.replay.ask(path, in_order=in_order)
    except Mismatch as mismatch:
        run.park(mismatch)
    if run.reason is not None:
        await run.halt()
    if known is not None:
        await anyio.lowlevel.checkpoint()
        return await _again(run, step, path, known)
    if run.seeking is not None:
        run.doubt(path, step, in_order)
        await run.halt(path)
    if run.is_expired(path) or not run.go_live(path):
        await run.halt(path)
    return await _now(run, step, path, in_order, arguments, options)


async def _again(run: Execution, step: Step[Any], path: str, known: Done | Failure) -> Any:
    """What the journal says of a step."""
    if isinstance(known, Failure):
        run.over(path, step, known)
        if known.interrupted:  # it was cancelled; so whatever did that will do it again
            await run.halt(path)
        failed = StepFailed(path, known.attempts, known.type, known.message)
        raise failed from RemoteFailure(known.type, known.message, known.traceback)
    try:
        output = read_value(known.value, step.hint, f"result of step {path}")
        undo = read_value(known.undo, Any, f"compensation input of step {path}") if known.undo else output
        events = [run.stash.hold(path, read_event(each)) for each in known.events]
    except UnreadableRecord as error:
        run.park(Mismatch(f"step {path}, which finished,", f"can't read what it returned ({error})"))
        await run.halt()
    run.over(path, step, known, undo)
    run.hold(path, events)
    return output


async def _now(
    run: Execution, step: Step[Any], path: str, in_order: bool, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    buffers: list[Buffer] = []

    async def attempt(number: int) -> Any:
        for earlier in buffers:
            earlier.close("its attempt failed")
        buffer = run.buffer(path)
        buffers[:] = [buffer]
        run.tell("started", path, number)
        call = Call(path, step.function, step.is_async, step.takes_context, arguments, options)
        return await in_step(run, buffer, number, call)

    attempts = Attempts(
        path,
        step.retry,
        step.timeout,
        run.backstage.random,
        lambda number, error, wait: run.tell("retrying", path, number, type(error).__name__),
    )
    run.running[path] = step
    run.active_at = run.times.loop()
    try:
        answer, count = await attempts.run(attempt)
        output, undo, done = _written(run, step, path, answer, count, in_order)
        done.events = write_events([each.draft for each in buffers[0].events])
    except Exhausted as exhausted:
        last = exhausted.error
        raise await _failed(run, step, path, last, exhausted.attempts, in_order, buffers) from last
    except NotPortable as error:
        raise await _failed(run, step, path, error, 1, in_order, buffers) from error
    except BaseException as interruption:
        if judge(interruption) is Verdict.CANCELLED:
            await _interrupted(run, step, path, in_order, buffers)
        raise
    finally:
        run.running.pop(path, None)
    buffers[0].close(None)
    await run.recorded(entry(Kind.STEP, path, done))
    run.over(path, step, done, undo)
    run.hold(path, buffers[0].events)
    run.tell("skipped" if done.skipped else "finished", path, count)
    await run.backstage.breathe()
    return output


def _written(
    run: Execution, step: Step[Any], path: str, answer: Any, count: int, in_order: bool
) -> tuple[Any, Any, Done]:
    """The output of an answer, what its compensation gets, and the record of both."""
    done = Done(run.times.now(), count, in_order=in_order, name=step.name)
    output = undo = answer
    if isinstance(answer, StepAnswer):
        output, undo = answer.output, answer.compensate_with
        done.undo = write_value(undo, Any, f"compensation input of step {path}")
    elif isinstance(answer, Skip):
        output = undo = answer.output
        done.skipped = True
    done.value = write_value(output, step.hint, f"result of step {path}")
    if run.backstage.portable:
        output = read_value(done.value, step.hint, f"result of step {path}")
        undo = read_value(done.undo, Any, f"compensation input of step {path}") if done.undo else output
    return output, undo, done


async def _failed(
    run: Execution,
    step: Step[Any],
    path: str,
    error: Exception,
    attempts: int,
    in_order: bool,
    buffers: list[Buffer],
) -> StepFailed:
    """What `flow.run` raises, once the journal has it."""
    for buffer in buffers:
        buffer.close("its step failed")
    failure = failure_of(error, run.times.now(), attempts, in_order=in_order, name=step.name)
    run.running.pop(path, None)
    await run.recorded(entry(Kind.FAILED, path, failure))
    run.over(path, step, failure)
    run.tell("failed", path, attempts, failure.type)
    return StepFailed(path, attempts, failure.type, failure.message)


async def _interrupted(run: Execution, step: Step[Any], path: str, in_order: bool, buffers: list[Buffer]) -> None:
    """A step was cancelled half-way; where its run goes on elsewhere, it begins again there."""
    for buffer in buffers:
        buffer.close("its step was cancelled")
    if run.reason in GOES_ON_ELSEWHERE or run.reason is Reason.PARKED:
        run.later(entry(Kind.BEGUN, path, Moment(run.times.now())))  # it may be cancelled before it begins again
        return
    record = run.interrupt(path, step, in_order)
    if run.reason is None:  # by the code's own doing, which may go on; it would not do without the record
        await run.record(record)
    else:
        run.later(record)


async def in_step(run: Execution, buffer: Buffer, number: int, call: Call) -> Any:
    """Make a call of a step's function, or its compensation's, with its events going into `buffer`.

    Cancellation: of the function.
    """
    options = call.options
    if call.takes_context:
        key = derived(run.id, call.path)
        context = StepContext(run.workflow.name, run.id, call.path, number, key, buffer, run.services)
        options = {**options, "context": context}
    token = current_buffer.set(buffer)
    try:
        return await called(call.function, call.is_async, run.threads, *call.arguments, **options)
    finally:
        current_buffer.reset(token)
