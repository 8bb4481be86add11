"""The context of a step: what it may ask for beside its arguments; and the step that only emits."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, Unpack

import anyio.lowlevel
import attrs

from ..event_types import Emitted
from ..log import SafeAdapter
from ..options import EmitOptions
from ..quoting import quoted
from ..receipt import Receipt
from ..services import Scope
from .declaring import step
from .staging import Buffer

S = TypeVar("S")

_log: Final = logging.getLogger("postroom.workflows")


@attrs.frozen(eq=False)
class StepContext:
    """One attempt at a step of a run, or at its compensation.

    Attributes:
        workflow, workflow_id: The run.
        step: Its path, such as `reserve#0`.
        attempt: The number of this attempt, from 1; in another process it begins again.
        idempotency_key: The same for all attempts at this step of this run, and for its compensation; also after the
            process has died between the step's effect and its record.
    """

    workflow: str
    workflow_id: str
    step: str
    attempt: int
    idempotency_key: str
    _buffer: Buffer
    _scope: Scope

    def __repr__(self) -> str:
        return f"<StepContext of {self.step} in {self.workflow} {quoted(self.workflow_id)}: attempt {self.attempt}>"

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose records carry `workflow`, `workflow_id`, `step` and `attempt`."""
        fields = {name: getattr(self, name) for name in ("workflow", "workflow_id", "step", "attempt")}
        return SafeAdapter(_log, fields)

    async def emit(self, name: Emitted, data: Any = None, **options: Unpack[EmitOptions]) -> Receipt:
        """Stage an event with the run: it goes out when the run succeeds; arguments as `Runtime.emit`.

        It is dropped when the run fails, when this attempt does, and when the step is compensated. What a compensation
        emits goes out at the end of the run.

        Returns:
            A receipt that can't be awaited before the run has ended.

        Raises:
            Exception: as `Runtime.emit`.

        Cancellation: nothing was staged.
        """
        await anyio.lowlevel.checkpoint()
        return self._buffer.emit(name, data, options)

    async def get(self, service: type[S]) -> S:
        """A service of the class `service`, made once for this run, and closed when this process is done with it.

        Registered by the runtime are `Runtime`, `EventModule` and `Events`; all others come from its `services`.

        Raises:
            UnknownService: it is not registered.
            ServicesClosed: the run has ended.
            Exception: what its factory raises.

        Cancellation: it was not made; what was entered is closed.
        """
        return await self._scope.get(service)


@step
async def emit_event(name: str, data: Any = None, *, context: StepContext, **options: Unpack[EmitOptions]) -> None:
    """Stage an event with the run: `await flow.run(emit_event, "order.placed", {"id": "123"})`.

    Args:
        data: A mapping, or any other payload; a list gives one event for each of its items; a function, which may be
            async, is called with the step's context and returns one of these.
        options: As of `Runtime.emit`, for each of them.

    Cancellation: nothing is staged.
    """
    if callable(data):
        data = data(context)
        if hasattr(data, "__await__"):
            data = await data
    is_many = isinstance(data, Sequence) and not isinstance(data, str | bytes | Mapping)
    for each in data if is_many else [data]:
        await context.emit(name, each, **options)
