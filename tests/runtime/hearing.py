"""A subscriber to everything, and what it has got."""

from typing import Any

from postroom import (
    Event,
    subscriber,
)


class Heard:
    """What a subscriber to everything has got."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.listen = subscriber("**", name="listen")(self.take)

    async def take(self, event: Event) -> Any:
        self.events.append(event)
        return event.data

    @property
    def data(self) -> list[Any]:
        return [event.data for event in self.events]
