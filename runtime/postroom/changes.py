"""What goes on in a runtime, for whoever watches: a stream of changes, and of dead letters.

A watch never holds anything back: what it has not been read in time makes room for what is newer, and is counted.
While nobody watches, a change costs one comparison, and only on ways that no successful event takes.

Units: times in seconds since the epoch.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Literal, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
import attrs

from .checks import count_of

T = TypeVar("T")

DEFAULT_KEPT = 1000
"""Things that a watch keeps for a reader that is slow."""

ChangeKind: TypeAlias = Literal[
    "spawned",
    "restarted",
    "breaker",
    "stopped",
    "retrying",
    "stuck",
    "cut_short",
    "dropped",
    "dead_letter",
    "draining",
    "closed",
]


@attrs.frozen(kw_only=True)
class Change:
    """One thing that happened in a runtime.

    Attributes:
        kind: What it was.
        time: When.
        subscription: Whose; None where it concerns the runtime as a whole.
        event_id, event_name: The event that it concerns, if any.
        attempt: The number of the attempt that it concerns, if any.
        reason: Why, in one line; never an event's data or an error's text.
    """

    kind: ChangeKind
    time: float
    subscription: str | None = None
    event_id: str | None = None
    event_name: str | None = None
    attempt: int | None = None
    reason: str = ""


@attrs.define(eq=False)
class Watch(Generic[T]):
    """What `watch` gives: iterate over it with `async for`, until the runtime or the watch's block has ended.

    Several tasks may iterate over one watch; each thing goes to one of them.

    Attributes:
        limit: Things that are kept until they are read.
        missed: Things that went unread because newer ones took their place.
    """

    limit: int = attrs.field(default=DEFAULT_KEPT, validator=count_of("things"))
    missed: int = attrs.field(default=0, init=False)
    _unread: deque[T] = attrs.field(factory=deque, init=False, repr=False)
    _news: anyio.Event | None = attrs.field(default=None, init=False, repr=False)
    _ended: bool = attrs.field(default=False, init=False)

    def __aiter__(self) -> "Watch[T]":
        return self

    async def __anext__(self) -> T:
        """Wait for the next thing.

        Cancellation: nothing was taken.
        """
        await anyio.lowlevel.checkpoint()
        while not self._unread:
            if self._ended:
                raise StopAsyncIteration
            if self._news is None:
                self._news = anyio.Event()
            await self._news.wait()
        return self._unread.popleft()

    def add(self, thing: T) -> None:
        """The runtime's own: there is something new."""
        if len(self._unread) >= self.limit:
            self._unread.popleft()
            self.missed += 1
        self._unread.append(thing)
        self._wake()

    def end(self) -> None:
        """The runtime's own: nothing more will come. What is unread can still be read."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.set()


@attrs.define(eq=False)
class Watches(Generic[T]):
    """Those who watch for one kind of thing.

    Attributes:
        open: Their watches; empty while nobody watches.
        over: There will be nothing to see any more.
    """

    open: list[Watch[T]] = attrs.field(factory=list, init=False)
    over: bool = attrs.field(default=False, init=False)

    @asynccontextmanager
    async def watch(self, limit: int, check: Callable[[], None] = lambda: None) -> AsyncIterator[Watch[T]]:
        """A block in which one more watches; `check` may refuse it.

        Cancellation: only of what is in the block.
        """
        check()
        watch: Watch[T] = Watch(limit)
        self.open.append(watch)
        if self.over:
            watch.end()
        try:
            yield watch
        finally:
            self.open.remove(watch)
            watch.end()

    def tell(self, thing: T) -> None:
        """Show `thing` to everybody who watches."""
        for watch in self.open:
            watch.add(thing)

    def end(self) -> None:
        """There will be nothing more."""
        self.over = True
        for watch in self.open:
            watch.end()
