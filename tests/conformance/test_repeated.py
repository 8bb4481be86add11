"""Every call of the journal that is made twice, as after a reply that got lost, has happened once.

The real stores take real time; see their own files.
"""

from math import inf
from pathlib import Path
from typing import Any, Final

import pytest

from postroom import Capability
from postroom.contract import EventModule
from postroom.modules.redis import RedisModule
from postroom.modules.sqlite import SqliteModule
from postroom.testing.conformance import Check, World, checks
from postroom.testing.faults import Fault, FaultyModule, While
from postroom.testing.reference import ReferenceModule, ReferenceStore
from postroom.testing.reference.module import CAPABILITIES
from tests.servers.redis import RedisServer

CHECKS: Final = [each for each in checks(CAPABILITIES) if Capability.WORKFLOWS in each.needs]


def twice(module: EventModule) -> FaultyModule:
    return FaultyModule(module, While(1, Fault.TWICE, inf))


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_on_the_reference(check: Check) -> None:
    store = ReferenceStore()
    await check(World(lambda: twice(ReferenceModule(store))))


@pytest.fixture(scope="module")
def server() -> Any:
    with RedisServer() as started:
        yield started


class TestOnRealStores:
    pytestmark = pytest.mark.slow

    @pytest.fixture(params=["trio", "asyncio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        """The real event loops."""
        return str(request.param)

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    async def test_on_sqlite(self, check: Check, tmp_path: Path) -> None:
        await check(World(lambda: twice(SqliteModule(tmp_path / "events.db", lease=1.0)), lease=1.0))

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    async def test_on_redis(self, check: Check, server: RedisServer) -> None:
        server.ask("FLUSHALL")
        await check(World(lambda: twice(RedisModule(server.url, lease=1.0)), lease=1.0))
