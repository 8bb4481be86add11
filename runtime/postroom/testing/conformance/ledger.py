"""What the handlers of a check write down."""

from collections.abc import Callable
from typing import Any, TypeAlias

import anyio
import attrs

from postroom.context import Context
from postroom.event import Event
from postroom.subscriber import Subscriber
from postroom.subscriber import subscriber as declare

Then: TypeAlias = Callable[[Event, Context], Any]
"""What a handler does beyond writing down; a coroutine that it returns is awaited."""


@attrs.define(eq=False)
class Ledger:
    """Handlers that write down what they got, in the order in which they got it.

    Attributes:
        lines: The data of each event, once for each attempt.
        events: The events.
        attempts: The numbers of the attempts.
        at: When each attempt began, on the loop's clock.
    """

    events: list[Event] = attrs.field(factory=list)
    attempts: list[int] = attrs.field(factory=list)
    at: list[float] = attrs.field(factory=list)

    @property
    def lines(self) -> list[Any]:
        """The data of each event."""
        return [event.data for event in self.events]

    def handler(
        self, *patterns: str, name: str = "ledger", then: Then | None = None, **options: Any
    ) -> Subscriber[..., Any]:
        """A subscriber that writes here, then does `then`, and returns what that returns; a coroutine is awaited."""

        async def write(event: Event, context: Context) -> Any:
            self.events.append(event)
            self.attempts.append(context.attempt)
            self.at.append(anyio.current_time())
            result: Any = None if then is None else then(event, context)
            return await result if hasattr(result, "__await__") else result

        return declare(*(patterns or ("order.*",)), name=name, **options)(write)

    def blocked(self, gate: anyio.Event, *patterns: str, **options: Any) -> Subscriber[..., Any]:
        """A subscriber that writes here, and keeps each event in hand until the gate is set."""
        return self.handler(*patterns, then=lambda event, context: gate.wait(), **options)
