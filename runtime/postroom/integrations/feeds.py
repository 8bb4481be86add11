"""Feeds: a subscription for one client, whose events wait in a bounded buffer until the client takes them.

The handler never waits for the client, so nobody who emits does. What has no room is dropped as the feed's policy says,
and counted, and the client is told how much it missed.

Units: seconds; limits count events.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal, TypeAlias, get_args

import anyio
import anyio.lowlevel
import attrs
import msgspec

from ..checks import count_of, is_word
from ..errors import Closed, InvalidOption, Rejected
from ..event import Event
from ..runtime import Runtime
from ..store_errors import StoreBroken
from ..subscriber import Subscriber

PREFIX: Final = "postroom-stream-"
"""How the names of the subscriptions of feeds begin. A store's that nobody serves any more is removed."""

DEFAULT_LIMIT: Final = 100

ALIVE_EVERY: Final = 15.0
"""Seconds of silence after which a stream says that it is alive."""

END_WITHIN: Final = 5.0
"""Seconds for the end of a subscription whose client has gone."""

Overflow: TypeAlias = Literal["drop_oldest", "drop_newest", "coalesce"]

ALIVE: Final = b": alive\n\n"


def _check_overflow(_feed: object, _attribute: object, overflow: object) -> None:
    if not is_word(overflow, get_args(Overflow)):
        raise InvalidOption("overflow", overflow, f"must be one of {', '.join(get_args(Overflow))}")


@attrs.define(eq=False)
class Feed:
    """What waits for one client, as server-sent events.

    Attributes:
        limit: Events that wait.
        overflow: What happens to an event that finds no room: `drop_oldest` or `drop_newest`; or `coalesce`, by which
            it takes the place of one of its key that still waits, and otherwise that of the oldest.
        missed: Events that were dropped, and of which the client was not told yet.
    """

    limit: int = attrs.field(default=DEFAULT_LIMIT, validator=count_of("events"))
    overflow: Overflow = attrs.field(default="drop_oldest", validator=_check_overflow)
    missed: int = attrs.field(default=0, init=False)
    _waiting: deque[tuple[str | None, bytes]] = attrs.field(factory=deque, init=False)
    _news: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def put(self, event: Event) -> None:
        """One more event, if there is room.

        Raises:
            TypeError: its data can't be written as JSON.
        """
        entry = (event.key, server_sent(event))
        if len(self._waiting) < self.limit:
            self._waiting.append(entry)
        else:
            self.missed += 1
            if self.overflow != "drop_newest":
                self._make_room(event.key)
                self._waiting.append(entry)
        self._wake()

    def _make_room(self, key: str | None) -> None:
        if self.overflow == "coalesce" and key is not None:
            for position, (other, _) in enumerate(self._waiting):
                if other == key:
                    del self._waiting[position]
                    return
        self._waiting.popleft()

    def end(self) -> None:
        """Nothing more will come; what waits can still be taken."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def take(self) -> bytes | None:
        """What the client is to get next, with what it missed before that; None at the end.

        Cancellation: nothing was taken.
        """
        await anyio.lowlevel.checkpoint()
        if not self._waiting and not self._ended:
            news = self._news
            with anyio.move_on_after(ALIVE_EVERY):
                await news.wait()
        if not self._waiting:
            return None if self._ended else ALIVE
        # Told first: what was dropped came before what is newest, and a client that reads on knows of the gap.
        told, self.missed = missed(self.missed), 0
        return told + self._waiting.popleft()[1]


def server_sent(event: Event) -> bytes:
    """An event in the form of a server-sent one: its name, its id, and its data as JSON on one line.

    Raises:
        TypeError: its data can't be written as JSON.
    """
    id = "" if any(char in event.id for char in "\r\n\0") else f"id: {event.id}\n"
    return f"event: {event.name}\n{id}data: ".encode(errors="replace") + msgspec.json.encode(event.data) + b"\n\n"


def missed(count: int) -> bytes:
    """What a client is told that has missed events; nothing where it has missed none."""
    return b'event: postroom-missed\ndata: {"missed":%d}\n\n' % count if count else b""


@asynccontextmanager
async def open_feed(
    runtime: Runtime, patterns: tuple[str | type[Any], ...], id: str, feed: Feed, ended: Callable[[], None]
) -> AsyncGenerator[Feed]:
    """A block with a subscription that fills `feed`. After it there is none, in a store neither.

    Args:
        id: Unique.
        ended: Called once at the end, whatever ends it.

    Cancellation: the subscription ends.
    """

    async def fill(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        feed.put(event)

    declared = Subscriber(
        handler=fill,
        patterns=patterns,
        name=f"{PREFIX}{id}",
        capacity=feed.limit,
        overflow="drop_oldest",  # in the store as well, so that one whose process was killed stays bounded
    )
    try:
        subscription = await runtime.spawn(declared)
        try:
            yield feed
        finally:
            with anyio.move_on_after(END_WITHIN, shield=True):
                await subscription.stop(drain=False)
                await forget(runtime, declared.name)
    finally:
        ended()


async def forget(runtime: Runtime, name: str) -> None:
    """Remove a feed's subscription from the store, if there is one.

    Cancellation: it was removed or not.
    """
    # Without a store there is nothing to remove; a runtime that closes leaves it to the next one that opens.
    with suppress(Rejected, Closed, StoreBroken):
        await runtime.remove_subscription(name)


async def forget_left_over(runtime: Runtime) -> None:
    """Remove the subscriptions of feeds whose process has died.

    Cancellation: some were removed or none.
    """
    with suppress(Rejected, Closed, StoreBroken):
        for each in await runtime.stored_subscriptions():
            if each.name.startswith(PREFIX) and not each.served_by:
                await forget(runtime, each.name)
