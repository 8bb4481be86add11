"""A runtime as a part of a web service: its life, its health, and its doors, whatever the framework.

Units: seconds.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from ..checks import count_of
from ..errors import InvalidOption, RuntimeClosed
from ..identity import unique_ids
from ..runtime import Runtime
from ..siblings import members_of
from .carrying import DEFAULT_NAMES, Carrying
from .feeds import DEFAULT_LIMIT, Feed, Overflow, forget_left_over, open_feed
from .webhooks import Answer, Webhook, busy

LIVE: Final = "/health/live"
READY: Final = "/health/ready"


def _check_runtime(_service: object, _attribute: object, runtime: Any) -> None:
    if not isinstance(runtime, Runtime) and not callable(runtime):
        raise InvalidOption("runtime", runtime, "must be a Runtime, or a function that makes one")


def _as_names(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


@attrs.define(eq=False)
class Service:
    """What all integrations share.

    Attributes:
        carry: Headers of requests that go with the events that they lead to.
        most_streams: Streams at the same time; one more is answered with 503.
    """

    _given: "Runtime | Callable[[], Runtime]" = attrs.field(validator=_check_runtime)
    carry: tuple[str, ...] = attrs.field(default=DEFAULT_NAMES, converter=_as_names, kw_only=True)
    most_streams: int = attrs.field(default=1000, validator=count_of("streams"), kw_only=True)
    carrying: Carrying = attrs.field(init=False)
    _runtime: Runtime | None = attrs.field(default=None, init=False)
    _feeds: set[Feed] = attrs.field(factory=set, init=False)
    _ids: Callable[[], str] = attrs.field(factory=unique_ids, init=False)

    def __attrs_post_init__(self) -> None:
        self.carrying = Carrying(self.carry)

    @property
    def runtime(self) -> Runtime:
        """The runtime at work.

        Raises:
            RuntimeClosed: the service has not started yet, or is over.
        """
        if self._runtime is None:
            raise RuntimeClosed("not entered yet: the service has not started, or is over")
        return self._runtime

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Runtime]:
        """The block in which the runtime is open. Leaving it drains, as leaving a runtime does.

        Raises:
            InvalidOption: it was given a runtime, and started a second time: give it a function that makes one.

        Cancellation: as that of a runtime's block.
        """
        runtime = self._given if isinstance(self._given, Runtime) else self._given()
        runtime.intercept(*self.carrying.interceptors)
        async with runtime:
            await forget_left_over(runtime)
            self._runtime = runtime
            try:
                yield runtime
            finally:
                self._runtime = None
                for feed in tuple(self._feeds):
                    feed.end()

    def live(self) -> Answer:
        """Whether the event loop answers: always, where this is asked."""
        return Answer(200, {"status": "alive"})

    def ready(self) -> Answer:
        """Whether events are taken in, and everybody who was declared handles them."""
        runtime = self._runtime
        if runtime is None:
            return Answer(503, {"status": "closed"})
        state = runtime.snapshot().state
        declared = () if runtime.role == "emit" else members_of(runtime.subscribers)
        missing = sorted({each.name for each in declared} - runtime.subscriptions.keys())
        if state == "open" and not missing:
            return Answer(200, {"status": "ready"})
        return Answer(503, {"status": state, "stopped": missing})

    async def take_in(self, webhook: Webhook, headers: Mapping[str, str], body: AsyncIterable[bytes]) -> Answer:
        """Answer a webhook; also while nothing is open.

        Cancellation: as `Webhook.receive`.
        """
        if self._runtime is None:
            return busy("closed")
        return await webhook.receive(self._runtime, headers, body)

    def feed(self, *, limit: int = DEFAULT_LIMIT, overflow: Overflow = "drop_oldest") -> Feed:
        """An empty feed.

        Raises:
            InvalidOption: a limit or a policy that is none.
        """
        return Feed(limit, overflow)

    @property
    def has_room(self) -> bool:
        """Whether one more stream may begin."""
        return len(self._feeds) < self.most_streams

    @asynccontextmanager
    async def open_feed(self, feed: Feed, patterns: tuple[str | type[Any], ...]) -> AsyncGenerator[Feed]:
        """A block in which `feed` is filled.

        Cancellation: its subscription ends.
        """
        self._feeds.add(feed)
        async with open_feed(self.runtime, patterns, self._ids(), feed, lambda: self._feeds.discard(feed)):
            yield feed
