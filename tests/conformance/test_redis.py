"""Redis keeps what event modules promise. Its time is the server's, so the waits are real, and short."""

import itertools
from collections.abc import Iterator
from typing import Final

import pytest

from postroom.modules.redis import RedisModule
from postroom.testing.conformance import Check, World, checks
from tests.servers.redis import RedisServer

CAPABILITIES: Final = RedisModule("redis://never-opened").capabilities

NAMESPACES: Final = itertools.count()

pytestmark = pytest.mark.slow


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The real event loops."""
    return str(request.param)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.mark.parametrize("check", checks(CAPABILITIES), ids=str)
async def test_redis(check: Check, server: RedisServer) -> None:
    namespace = f"conformance-{next(NAMESPACES)}"
    await check(World(lambda: RedisModule(server.url, namespace=namespace, lease=1.0), lease=1.0))


@pytest.mark.parametrize("check", [each for each in checks(CAPABILITIES, forgets=True) if each.forgets], ids=str)
async def test_what_redis_forgets(check: Check, server: RedisServer) -> None:
    namespace = f"conformance-{next(NAMESPACES)}"
    await check(
        World(lambda: RedisModule(server.url, namespace=namespace, lease=1.0, window=2.0), lease=1.0, window=2.0)
    )
