"""The workflow that is cancelled everywhere, and what it leaves: effects of its steps, and events that were heard."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import anyio
import anyio.lowlevel
import attrs

from postroom import (
    Event,
    Flow,
    PermanentFailure,
    Receipt,
    Step,
    StepContext,
    Workflow,
    emit_event,
    step,
    subscriber,
    workflow,
)
from postroom.dispatcher import Dispatcher

SIGNAL = "paid"


@attrs.define(eq=False)
class Shop:
    """Makes the workflow, and keeps what is outside of it.

    Attributes:
        fails: The last step refuses.
        standing: Effects, by the names of their steps.
        undone: What was undone, in that order.
        is_durable: Events go to a store, from which each is handed out in the end.
        accepted: Names of the events that a runtime has taken, where there is no store.
        heard: Names of those that subscribers got.
    """

    fails: bool
    is_durable: bool
    standing: dict[str, str] = attrs.field(factory=dict)
    undone: list[str] = attrs.field(factory=list)
    accepted: list[str] = attrs.field(factory=list)
    heard: list[str] = attrs.field(factory=list)
    workflow: Workflow[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.workflow = self._order()

    def _step(self, name: str, seconds: float = 0.0) -> Step[Any]:
        async def undo(done: object, context: StepContext) -> None:
            await anyio.lowlevel.checkpoint()
            if self.standing.pop(name, None) is not None:
                self.undone.append(name)
            await anyio.lowlevel.checkpoint()

        @step(name=name, compensate=undo)
        async def act(context: StepContext) -> str:
            await anyio.lowlevel.checkpoint()
            self.standing[name] = context.idempotency_key
            await anyio.sleep(seconds)
            await context.emit(f"did.{name}")
            return name

        return act

    def _order(self) -> Workflow[str]:
        reserve, pay, pack, weigh = (self._step(name, 0.1) for name in ("reserve", "pay", "pack", "weigh"))
        label, stamp, send = (self._step(name) for name in ("label", "stamp", "send"))

        @step
        async def check() -> None:
            await anyio.lowlevel.checkpoint()
            if self.fails:
                raise PermanentFailure("refused")

        @workflow(name="post")
        async def post(flow: Flow) -> None:
            await flow.run(label)
            await flow.emit("did.post")
            await flow.run(stamp)

        @workflow(name="order")
        async def order(flow: Flow) -> str:
            await flow.emit("did.begin")
            await flow.run(reserve)
            async with flow.together() as together:
                together.run(pack)
                together.run(weigh)
            await flow.run(post)
            await flow.sleep(1)
            await flow.run(pay)
            await flow.wait_for(SIGNAL, within=100)
            await flow.run(send)
            await flow.run(emit_event, "did.end")
            await flow.run(check)
            return "done"

        return order

    @property
    def ear(self) -> Any:
        """The subscriber."""

        @subscriber("did.*", name="ear")
        async def hear(event: Event) -> None:
            self.heard.append(event.name)

        return hear

    EFFECTS = frozenset({"reserve", "pay", "pack", "weigh", "label", "stamp", "send"})
    EVENTS = frozenset({*(f"did.{name}" for name in EFFECTS), "did.begin", "did.post", "did.end"})

    @property
    def out(self) -> list[str]:
        """Names of the events that went out."""
        return self.heard if self.is_durable else self.accepted

    @property
    def is_all(self) -> bool:
        """All effects stand, and all events went out."""
        return set(self.standing) == self.EFFECTS and set(self.out) == self.EVENTS

    @property
    def is_nothing(self) -> bool:
        """No effect stands, and no event went out."""
        return not self.standing and not self.out

    def told(self) -> str:
        """What there is, for who looks for a mistake."""
        return (
            f"effects {sorted(self.standing)}, undone {self.undone}, events {sorted(self.out)}, "
            f"heard {sorted(self.heard)}"
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A block in which it is noted what runtimes take."""
        dispatch = Dispatcher.dispatch

        def noted(dispatcher: Dispatcher, event: Event, *arguments: Any, **options: Any) -> Receipt:
            self.accepted.append(event.name)
            return dispatch(dispatcher, event, *arguments, **options)

        with patch.object(Dispatcher, "dispatch", noted):
            yield
