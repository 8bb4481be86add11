"""A shop's steps for the tests: what they do is noted, and told to fail."""

from collections.abc import Callable
from typing import Any

import anyio
import attrs

from postroom import Event, Flow, PermanentFailure, Retry, Step, StepContext, Workflow, step, subscriber, workflow


@attrs.define(eq=False)
class Shop:
    """Notes what steps do.

    Attributes:
        log: What was done, in order, as `name`, or `name+` for the end of a slow one, and `-name` for what was undone.
        undone_with: What compensations got.
        failing: How often each step, or each compensation as `-name`, has yet to fail.
        heard: Events.
    """

    log: list[str] = attrs.field(factory=list)
    undone_with: dict[str, Any] = attrs.field(factory=dict)
    failing: dict[str, int] = attrs.field(factory=dict)
    heard: list[tuple[str, Any]] = attrs.field(factory=list)

    def step(
        self,
        name: str,
        *,
        act: Callable[[StepContext], Any] | None = None,
        seconds: float = 0.0,
        returns: Any = None,
        permanent: bool = False,
        undo: bool = True,
        **options: Any,
    ) -> Step[Any]:
        """A step that notes its name, and whose compensation does."""

        async def run(*arguments: Any, context: StepContext) -> Any:
            self.log.append(name)
            if seconds:
                await anyio.sleep(seconds)
                self.log.append(f"{name}+")
            self._fail(name, permanent)
            if act is not None:
                result = act(context)
                return await result if hasattr(result, "__await__") else result
            return arguments[0] if returns is None and arguments else returns

        async def undone(result: Any, context: StepContext) -> None:
            self.log.append(f"-{name}")
            self.undone_with[name] = result
            self._fail(f"-{name}", permanent=False)

        if undo:
            options.setdefault("compensate", undone)
        return step(name=name, **options)(run)

    def _fail(self, name: str, permanent: bool) -> None:
        left = self.failing.get(name, 0)
        if left:
            self.failing[name] = left - 1
            raise PermanentFailure(f"{name} refused") if permanent else ValueError(f"{name} failed")

    @property
    def ear(self) -> Any:
        """A subscriber to every event."""

        @subscriber("**", name="ear")
        async def hear(event: Event) -> None:
            self.heard.append((event.name, event.data))

        return hear

    def line(self, *steps: Step[Any], **options: Any) -> Workflow[list[Any]]:
        """A workflow of steps one after the other."""

        @workflow(name="line", **options)
        async def line(flow: Flow) -> list[Any]:
            return [await flow.run(each) for each in steps]

        return line


TWICE = Retry(attempts=2)
