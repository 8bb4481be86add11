"""The stores of goals that take processes: a SQLite file, or a Redis server that writes before it answers.

A place is what a process is told: the path of a file, or `redis://HOST:PORT/0#NAMESPACE`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import apsw
import attrs

from postroom.modules.redis import RedisModule
from postroom.modules.sqlite import SqliteModule
from tests.servers.redis import RedisServer

STORES: Final = ("sqlite", "redis")

ALWAYS: Final = {"appendonly": "yes", "appendfsync": "always"}


def module_at(place: str, lease: float = 15.0) -> Any:
    """The event module of a place."""
    if not place.startswith("redis://"):
        return SqliteModule(place, lease=lease)
    url, _, namespace = place.partition("#")
    return RedisModule(url, namespace=namespace, lease=lease)


@attrs.frozen
class Places:
    """Where stores can be: in folders of their own, or in namespaces of one server."""

    server: RedisServer | None

    def place(self, folder: Path) -> str:
        """A place that goes with a folder."""
        return str(folder / "events.db") if self.server is None else f"{self.server.url}#{folder.name}"


@contextmanager
def open_places(store: str) -> Iterator[Places]:
    """A block in which there are places for a kind of store."""
    if store == "sqlite":
        yield Places(None)
        return
    with RedisServer(ALWAYS) as server:
        yield Places(server)


@attrs.frozen
class Left:
    """What a store holds.

    Attributes:
        waiting: Deliveries, delayed ones too.
        marked: Those of them with an attempt or a loss on their record.
    """

    waiting: int
    lent: int
    letters: int
    marked: int


def left_at(place: str) -> Left:
    """What is at a place that nobody uses."""
    if place.startswith("redis://"):
        return anyio.run(_left_on_redis, place)
    db = apsw.Connection(place)
    counts = "SELECT (SELECT count(*) FROM waiting), (SELECT count(*) FROM lent), (SELECT count(*) FROM letters), "
    row: Any = db.execute(counts + "(SELECT count(*) FROM waiting WHERE losses OR attempts)").fetchone()
    db.close()
    return Left(*row)


async def _left_on_redis(place: str) -> Left:
    url, _, namespace = place.partition("#")
    async with module_at(place).open("a look") as store:
        found = await store.subscriptions()
    server = RedisServer(port=int(url.rpartition(":")[2].partition("/")[0]))
    return Left(
        waiting=sum(each.waiting + each.delayed for each in found),
        lent=sum(each.lent for each in found),
        letters=sum(each.dead for each in found),
        marked=int(server.ask("HLEN", f"{{postroom:{namespace}}}:m")),
    )
