"""One connection that many tasks use: one of those who wait reads for all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from coredis.exceptions import ConnectionError as ConnectionLost

from postroom.modules.redis.connection import Connection, Unsent
from tests.servers.redis import RedisServer


@asynccontextmanager
async def connected(server: RedisServer) -> AsyncIterator[Connection]:
    async with anyio.create_task_group() as tasks:
        connection = Connection(await anyio.connect_tcp("127.0.0.1", server.port), 5.0)
        await tasks.start(connection.run)
        yield connection
        connection.invalidate()


async def test_each_of_many_tasks_gets_its_own_reply(server: RedisServer) -> None:
    heard: dict[int, bytes] = {}

    async def ask(number: int) -> None:
        for _ in range(20):
            heard[number] = await connection.ask(b"ECHO", str(number))
            assert heard[number] == b"%d" % number

    async with connected(server) as connection, anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
    assert len(heard) == 10


async def test_where_the_one_who_reads_is_cancelled_the_others_are_told_that_the_connection_is_lost(
    server: RedisServer,
) -> None:
    told: list[type[BaseException]] = []

    async def follow() -> None:
        try:
            await connection.ask(b"PING")
        except ConnectionLost as error:
            told.append(type(error))

    async with connected(server) as connection:
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as reader:
                tasks.start_soon(follow)
                reader.deadline = anyio.current_time() + 0.2
                await connection.ask(b"BLPOP", "nothing", 0)
        assert told == [ConnectionLost]
        with pytest.raises(Unsent):
            await connection.ask(b"PING")


async def test_a_reply_that_takes_too_long_ends_the_connection(server: RedisServer) -> None:
    async with connected(server) as connection:
        with pytest.raises(TimeoutError):
            await connection.ask(b"BLPOP", "nothing", 0, within=0.1)
        assert not connection.usable
