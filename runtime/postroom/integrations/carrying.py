"""Headers of a request, carried into the events that it leads to, and into those that these cause in turn.

They are added by an interceptor and not by whoever emits: what a request says of its trace is no part of what makes two
events of one id the same, so a delivery that is sent again may come in another trace.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import attrs
import msgspec

from ..context import Context
from ..event import Event
from ..interceptors import Interceptor

DEFAULT_NAMES: Final = ("traceparent", "tracestate", "x-request-id")
"""Headers of requests that are carried unless others are asked for."""

LONGEST: Final = 512
"""Characters of one header that is carried; a longer one, and one that does not print, stays behind."""

_carried: Final[ContextVar[Mapping[str, str]]] = ContextVar("postroom_carried")


def _in_lower_case(names: Iterable[str]) -> frozenset[str]:
    return frozenset(each.lower() for each in names)


@attrs.frozen
class Carrying:
    """Which headers are carried, and how.

    Attributes:
        names: In lower case.
    """

    names: frozenset[str] = attrs.field(converter=_in_lower_case)

    @contextmanager
    def request(self, headers: Iterable[tuple[str, str]]) -> Iterator[None]:
        """A block in which whatever is emitted carries what is to be carried of these headers."""
        with _carrying({name: value for name, value in headers if self._is_for(name, value)}):
            yield

    def _is_for(self, name: str, value: str) -> bool:
        return name in self.names and len(value) <= LONGEST and value.isascii() and value.isprintable()

    @property
    def interceptors(self) -> tuple[Interceptor, Interceptor]:
        """For a runtime."""
        return Interceptor(_add, on_error="ignore"), Interceptor(self._keep, on_error="ignore")

    async def _keep(self, context: Context, call_next: Callable[[], Awaitable[Any]]) -> Any:
        headers = context.event.headers
        with _carrying({name: headers[name] for name in self.names if name in headers}):
            return await call_next()


@contextmanager
def _carrying(headers: Mapping[str, str]) -> Iterator[None]:
    token = _carried.set(headers)
    try:
        yield
    finally:
        _carried.reset(token)


def _add(event: Event) -> Event | None:
    """Around emits: what its user gave wins."""
    headers = {**_carried.get({}), **event.headers}
    return None if len(headers) == len(event.headers) else msgspec.structs.replace(event, headers=headers)
