"""Undoing a run: the compensations of what finished, the last one first, each by its own policy.

One that fails for good does not keep the others from running; it leaves the run in need of attention.
"""

from typing import Any

from ..calls import is_async
from .attempts import Attempts, Exhausted
from .declaring import takes_context
from .execution import Execution, Finished
from .records import Kind, Undone, entry, write_events
from .staging import Buffer
from .stepping import Call, in_step


async def undo(run: Execution, prefix: str = "") -> bool:
    """Undo what finished under a prefix; whether all of it is undone.

    Cancellation: comes out; what is recorded is undone, the rest is for others.
    """
    all_undone = True
    for each in sorted(run.finished.values(), key=lambda each: -each.rank):
        if not each.path.startswith(prefix):
            continue
        path = each.path
        run.stash.drop(lambda emitted_at: emitted_at == path, "its step was undone")  # noqa: B023 - called at once
        if each.skipped or each.step.compensate is None or path in run.replay.undone:
            continue
        if not await _undo(run, each):
            run.stuck.append(path)
            all_undone = False
    return all_undone


async def _undo(run: Execution, each: Finished) -> bool:
    step, path = each.step, each.path
    function: Any = step.compensate
    has_context = takes_context(function)
    buffers: list[Buffer] = []

    async def attempt(number: int) -> Any:
        for earlier in buffers:
            earlier.close("its attempt failed")
        buffers[:] = [run.buffer(f"{path}/undo")]
        run.tell("undoing", path, number)
        call = Call(path, function, is_async(function), has_context, (each.undo,), {})
        return await in_step(run, buffers[0], number, call)

    attempts = Attempts(
        path,
        step.compensate_retry,
        step.compensate_timeout,
        run.backstage.random,
        lambda number, error, wait: run.tell("retrying", path, number, type(error).__name__),
    )
    run.running[f"{path}/undo"] = step
    try:
        _, count = await attempts.run(attempt)
    except Exhausted as exhausted:
        for buffer in buffers:
            buffer.close("its compensation failed")
        run.tell("stuck", path, exhausted.attempts, type(exhausted.error).__name__)
        return False
    except BaseException:
        for buffer in buffers:
            buffer.close("its compensation was cancelled")
        raise
    finally:
        run.running.pop(f"{path}/undo", None)
    events = buffers[0].events
    buffers[0].close(None)
    undone = Undone(run.times.now(), count, write_events([waiting.draft for waiting in events]))
    await run.recorded(entry(Kind.COMPENSATED, path, undone))
    run.replay.undone[path] = undone
    run.stash.epilogue.extend(events)
    run.tell("undone", path, count)
    return True
