"""Recorded histories: the journals of runs as JSON lines, and code run against them without effects.

No step is run: the code is given what was recorded of each, and whether it asks for the same is seen. Where it asks for
something that is not on record, it goes no further.

Units: seconds since the epoch.
Source: replay tests as in Temporal.
"""

import difflib
from typing import Any, Final

import anyio
import attrs
import msgspec

from ..changes import Watches
from ..codec import UnreadableRecord
from ..errors import InvalidOption
from ..event import Event
from ..journal import Entry, RunLoan, RunState, StoredRun
from ..quoting import quoted
from ..runtime import Runtime
from ..services import Events
from .changes import StepChange
from .declaring import Workflow, as_workflow
from .driver import SEEK_WITHIN, Driver
from .execution import Execution, Reason
from .keeping import staged_events
from .records import Done, Failure, Input, Result, read, undoing_of, write_value
from .replay import Mismatch, Replay

FORMAT: Final = 1

NOTHING: Final = msgspec.Raw(b"null")


class _WrittenEntry(msgspec.Struct):
    kind: str
    key: str
    body: msgspec.Raw = NOTHING


class _Written(msgspec.Struct):
    """A history as it is written down."""

    format: int
    id: str
    workflow: str
    state: RunState
    created_at: float
    changed_at: float
    input: msgspec.Raw
    result: msgspec.Raw
    entries: list[_WrittenEntry]


@attrs.frozen(kw_only=True)
class RunHistory:
    """What a journal has of a run: its input, its steps with their results, and how it ended or how far it is.

    Attributes:
        id, workflow: Which run, of which workflow.
        state: As `WorkflowStatus.state`.
        created_at, changed_at: In seconds since the epoch.
        input, result: As the journal has them: JSON, in bytes; `result` is empty while nothing has ended.
        entries: What was recorded, oldest first.
    """

    id: str
    workflow: str
    state: RunState
    created_at: float
    changed_at: float
    input: bytes
    result: bytes
    entries: tuple[Entry, ...]

    def line(self) -> str:
        """The history as one line of JSON."""
        entries = [_WrittenEntry(each.kind, each.key, _raw(each.body)) for each in self.entries]
        written = _Written(
            FORMAT, self.id, self.workflow, self.state, self.created_at, self.changed_at,
            _raw(self.input), _raw(self.result), entries,
        )  # fmt: skip
        return msgspec.json.encode(written).decode()

    @classmethod
    def of_line(cls, line: str | bytes) -> "RunHistory":
        """A history out of such a line.

        Raises:
            InvalidOption: it holds none that this release reads.
        """
        try:
            written = msgspec.json.decode(line, type=_Written)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidOption("line", line[:100], f"holds no history of a workflow ({error})") from error
        if written.format != FORMAT:
            raise InvalidOption("line", line[:100], f"has format {written.format}; this release reads {FORMAT}")
        entries = tuple(Entry(each.kind, each.key, _bytes(each.body)) for each in written.entries)
        return cls(
            id=written.id,
            workflow=written.workflow,
            state=written.state,
            created_at=written.created_at,
            changed_at=written.changed_at,
            input=_bytes(written.input),
            result=_bytes(written.result),
            entries=entries,
        )


def _raw(body: bytes) -> msgspec.Raw:
    return msgspec.Raw(body) if body else NOTHING


def _bytes(raw: msgspec.Raw) -> bytes:
    body = bytes(raw)
    return b"" if body == b"null" else body


def history_of_run(loan: RunLoan) -> RunHistory:
    """A history, from its store."""
    run = loan.run
    return RunHistory(
        id=run.id,
        workflow=run.workflow,
        state=run.state,
        created_at=run.created_at,
        changed_at=run.changed_at,
        input=run.input,
        result=run.result,
        entries=loan.entries,
    )


@attrs.frozen(kw_only=True)
class Replayed:
    """What came of running code against a history.

    Attributes:
        id, workflow: Of the history.
        fits: The code does what is on record.
        journal, code: Where it does not: what the journal has, and what the code does instead.
        diff: Where it does not: the steps of both, up to where they part; those of the journal alone have a minus in
            front, those of the code alone a plus.
    """

    id: str
    workflow: str
    fits: bool
    journal: str = ""
    code: str = ""
    diff: tuple[str, ...] = ()


@attrs.define(eq=False)
class _Asked(Replay):
    """A journal that notes what the code asks it for."""

    asked: list[str] = attrs.field(factory=list, init=False)

    def ask(self, path: str, *, in_order: bool) -> Done | Failure | None:
        self.asked.append(path)
        return Replay.ask(self, path, in_order=in_order)


async def replay_history(workflow: Workflow[Any], history: RunHistory) -> Replayed:
    """Run a workflow's code against a recorded history: no step, no compensation, no event, and no waiting.

    Raises:
        InvalidOption: the history is of another workflow.
        InvalidWorkflow: the first argument is none.

    Cancellation: changes nothing.
    """
    workflow = as_workflow(workflow)
    if history.workflow != workflow.name:
        raise InvalidOption("history", history.workflow, f"is a run of another workflow than {workflow.name}")
    async with Runtime(watchdog=None) as runtime:
        backstage = runtime.backstage()
        stored = StoredRun(
            *(history.id, history.workflow, history.state, history.input, b"", history.result, None, 0),
            *(history.created_at, history.changed_at, history.created_at, len(history.entries)),
        )
        try:
            input = read(history.input, Input, "input of a workflow")
            run = Execution(
                workflow,
                RunLoan(0, stored, history.entries, backstage.time()),
                backstage,
                anyio.CapacityLimiter(1),
                Watches[StepChange](),
                Event(history.workflow, id=history.id, origin=input.origin),
                services=backstage.scope(f"workflow {workflow.name}", Events(staged_events)),  # type: ignore[arg-type]
            )
            recorded = run.replay = _Asked()
            recorded.load(history.entries)
            mismatch = await _mismatch(run, input, history)
        except UnreadableRecord as error:
            recorded, mismatch = _Asked(), Mismatch(str(error), "can't read that")
    if mismatch is None:
        return Replayed(id=history.id, workflow=history.workflow, fits=True)
    steps = [
        f"{path} ({'failed' if isinstance(step, Failure) else 'finished'})"
        for path, (_, step) in recorded.steps.items()
    ]
    marks = dict(zip(recorded.steps, steps, strict=True))
    asked = [marks.get(path, path) for path in recorded.asked]
    diff = [line for line in difflib.ndiff(steps, asked) if not line.startswith("?")]
    return Replayed(
        id=history.id,
        workflow=history.workflow,
        fits=False,
        journal=mismatch.journal,
        code=mismatch.code,
        diff=tuple(diff),
    )


async def _mismatch(run: Execution, input: Input, history: RunHistory) -> Mismatch | None:
    """Where the code and the journal differ."""
    run.seeking, run.stash.muted = set(run.replay.steps), True
    stalled = run.stalled = anyio.Event()
    driver = Driver(run, input, lambda _ended: None)
    ended: list[tuple[Any, BaseException | None]] = []
    async with anyio.create_task_group() as tasks:

        async def look() -> None:
            ended.append(await driver.call())
            tasks.cancel_scope.cancel()

        async def give_up() -> None:
            await stalled.wait()
            await anyio.sleep(SEEK_WITHIN if run.seeking else 0)
            tasks.cancel_scope.cancel()

        tasks.start_soon(look)
        tasks.start_soon(give_up)
    await run.services.close()
    if run.reason is Reason.PARKED:
        return run.mismatch
    assert run.reason is None, "nothing is written, nobody cancels it, and no time runs while it seeks"
    value, error = ended[0] if ended else (None, None)
    try:
        run.replay.check_end(_how(ended, error))
        _check_result(run, history, bool(ended), value, error)
    except Mismatch as mismatch:
        return mismatch
    return None


def _how(ended: list[Any], error: BaseException | None) -> str:
    if not ended:
        return "goes on to something that is not on record,"
    return "ends" if error is None else f"ends with {type(error).__name__}"


def _check_result(
    run: Execution, history: RunHistory, has_ended: bool, value: Any, error: BaseException | None
) -> None:
    """Raises Mismatch where the code ends otherwise than its run did."""
    undoing = run.replay.undoing
    if history.state is RunState.SUCCEEDED:
        if not has_ended:
            raise Mismatch("the end, a success,", f"asks for {_next(run)}")
        if error is not None:
            raise Mismatch("the end, a success,", f"raises {type(error).__name__}: {error}")
        returned = bytes(write_value(value, run.workflow.hint, f"result of workflow {run.workflow.name}"))
        recorded = bytes(read(history.result, Result, "result of a workflow").value)
        if msgspec.json.decode(returned) != msgspec.json.decode(recorded):
            raise Mismatch(f"the end, with {quoted(recorded)},", f"returns {quoted(returned)}")
    elif undoing is not None and undoing.step is not None and not undoing.cancelled:
        journal = f"the end, a failure of step {undoing.step},"
        if not has_ended:
            raise Mismatch(journal, f"asks for {_next(run)}")
        again = None if error is None else undoing_of(error, 0.0)
        if again is None or again.step != undoing.step:
            raise Mismatch(journal, "goes on" if error is None else f"raises {type(error).__name__}: {error}")


def _next(run: Execution) -> str:
    asked = [path for path in getattr(run.replay, "asked", ()) if path not in run.replay.steps]
    return f"step {asked[0]}" if asked else "something that is not on record"
