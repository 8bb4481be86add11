"""A start for stores that one process uses at a time: what they answer the same way, whatever they keep events in.

Units: as in `postroom.contract`.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NoReturn, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from .capabilities import Capability, Unsupported
from .contract import Answer, Binding, Emit, News, Notice, Published, StagedGroup
from .errors import PostroomError
from .names import tokens_of_pattern
from .routes import Routes

T = TypeVar("T")


def targets_of(name: str, bindings: Iterable[Binding]) -> tuple[str, ...]:
    """The subscriptions that events of a name are for."""
    routes: Routes[str] = Routes()
    for binding in bindings:
        routes.add(tuple(tokens_of_pattern(pattern) for pattern in binding.patterns), binding.name)
    return tuple(routes.match(name))


@attrs.define(eq=False)
class SoloStore:
    """The part of a `Store` that has to do with other sessions, for a module where there are none.

    Derive from it and write the other methods. What this answers: the news, the repetition of numbered calls, and the
    calls for groups, which are refused; write them as well where the module has groups.

    Attributes:
        module: The name of the module, for errors.
    """

    module: str
    _mail: bool = attrs.field(default=False, init=False)
    _routes: bool = attrs.field(default=False, init=False)
    _notices: list[tuple[int, Notice]] = attrs.field(factory=list, init=False)
    _told: int = attrs.field(default=0, init=False)
    _last: dict[str, tuple[int, object]] = attrs.field(factory=dict, init=False)
    _changed: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    def tell(self, *notices: Notice, mail: bool = False, routes: bool = False) -> None:
        """Have the session's next `news` say so: what became of events, and that there may be mail or other routes."""
        for notice in notices:
            self._told += 1
            self._notices.append((self._told, notice))
        self._mail, self._routes = self._mail or mail, self._routes or routes
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def once(self, number: int, call: Callable[[], T], of: str = "") -> T:
        """The result of a numbered call, which is made unless it is the same as the one before.

        Args:
            of: Names the calls that are counted together; `settle` is counted by itself.
        """
        last = self._last.get(of)
        if last is not None and last[0] == number:
            return cast("T", last[1])
        result = call()
        self._last[of] = (number, result)
        return result

    async def news(self, seen: int) -> News:
        """As `Store.news`; there is no other session, so this one is never lost.

        Cancellation: nothing is forgotten.
        """
        await anyio.lowlevel.checkpoint()
        self._notices = [each for each in self._notices if each[0] > seen]
        while not (self._notices or self._mail or self._routes):
            await self._changed.wait()
        number = self._notices[-1][0] if self._notices else seen
        news = News(number, tuple(notice for _, notice in self._notices), mail=self._mail, routes=self._routes)
        self._mail = self._routes = False
        return news

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        """Raises Unsupported; a checkpoint."""
        await anyio.lowlevel.checkpoint()
        self._refuse_groups()

    async def release(self, number: int, group: str) -> tuple[list[str], Answer]:
        """Raises Unsupported; a checkpoint."""
        await anyio.lowlevel.checkpoint()
        self._refuse_groups()

    async def clear(self, group: str, names: Collection[str] | None, reason: str) -> int:
        """Raises Unsupported; a checkpoint."""
        await anyio.lowlevel.checkpoint()
        self._refuse_groups()

    async def groups(self, limit: int) -> list[StagedGroup]:
        """Raises Unsupported; a checkpoint."""
        await anyio.lowlevel.checkpoint()
        self._refuse_groups()

    def _refuse_groups(self) -> NoReturn:
        raise Unsupported(self.module, Capability.GROUPS.value, "`group`")
