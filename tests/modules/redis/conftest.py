"""Real servers, and loops whose time is real."""

from collections.abc import Iterator

import pytest

from tests.servers.redis import RedisServer


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    """An empty one, which other tests use as well: no test may end it."""
    shared_server.ask("FLUSHALL")
    return shared_server
