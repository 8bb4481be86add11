"""A handler whose annotation is there for type checkers only."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postroom import Event


async def takes(event: "Event") -> object:
    return event.data
