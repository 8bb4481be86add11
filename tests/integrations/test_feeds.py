"""Feeds: what waits for one client, and what it misses."""

import json
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from postroom import Event, InvalidOption, Local, Runtime
from postroom.integrations.asgi import EventStream
from postroom.integrations.feeds import ALIVE, Feed, Overflow
from postroom.integrations.service import Service
from postroom.testing.reference import ReferenceModule


def event(number: int, key: str | None = None) -> Event:
    return Event("order.placed", number, key, id=f"id-{number}")


async def taken(feed: Feed) -> list[str]:
    """The data lines of all that waits."""
    feed.end()
    read = b""
    while (chunk := await feed.take()) is not None:
        read += chunk
    return [line.removeprefix("data: ") for line in read.decode().splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("overflow", "left"),
    [
        ("drop_oldest", ['{"missed":2}', "2", "3"]),
        ("drop_newest", ['{"missed":2}', "0", "1"]),
        ("coalesce", ['{"missed":2}', "1", "3"]),
    ],
)
async def test_what_has_no_room_is_dropped_by_policy_and_the_client_told(overflow: Overflow, left: list[str]) -> None:
    feed = Feed(2, overflow)
    for number in range(4):
        feed.put(event(number, key="odd" if number == 1 else "even"))
    assert await taken(feed) == left


async def test_a_client_that_is_told_hears_of_later_misses_alone() -> None:
    feed = Feed(1)
    for number in range(3):
        feed.put(event(number))
    assert (await feed.take() or b"").startswith(b'event: postroom-missed\ndata: {"missed":2}\n\n')
    feed.put(event(3))
    assert await feed.take() == b"event: order.placed\nid: id-3\ndata: 3\n\n"


async def test_a_feed_without_events_says_that_it_is_alive_every_15_seconds() -> None:
    feed = Feed()
    began = anyio.current_time()
    assert await feed.take() == ALIVE
    assert anyio.current_time() - began == 15


async def test_a_take_that_is_cancelled_takes_nothing() -> None:
    feed = Feed()
    with anyio.move_on_after(1):
        await feed.take()
    feed.put(event(1))
    assert await taken(feed) == ["1"]


async def test_a_feed_that_ends_wakes_its_reader() -> None:
    feed = Feed()
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            assert await feed.take() is None

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        feed.end()


def test_an_id_that_would_break_the_lines_is_left_out() -> None:
    feed = Feed()
    feed.put(Event("order.placed", "two\nlines", id="a\nb"))
    assert [chunk for _, chunk in feed._waiting] == [b'event: order.placed\ndata: "two\\nlines"\n\n']


@pytest.mark.parametrize(("limit", "overflow"), [(0, "drop_oldest"), (10, "wait")])
def test_a_bad_limit_or_policy_is_refused(limit: int, overflow: Any) -> None:
    with pytest.raises(InvalidOption):
        Feed(limit, overflow)


class Client:
    """What an ASGI server is to an application: it may go, and may be slow to take what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = anyio.Event()
        self.may_send = anyio.Event()
        self.may_send.set()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        self.sent.append(message)
        await self.may_send.wait()

    async def read(self, service: Service, limit: int = 100) -> None:
        """Be streamed to, until it goes or the stream ends."""
        await EventStream(service, ("order.*",), service.feed(limit=limit))({}, self.receive, self.send)

    @property
    def data(self) -> list[Any]:
        text = b"".join(each.get("body", b"") for each in self.sent).decode()
        return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def test_a_slow_client_holds_nobody_back_and_is_told_how_much_it_missed() -> None:
    service = Service(Runtime())
    client = Client()
    async with service.running() as runtime, anyio.create_task_group() as tasks:
        tasks.start_soon(client.read, service, 10)
        await anyio.wait_all_tasks_blocked()
        client.may_send = anyio.Event()
        for number in range(1000):
            assert (await runtime.emit_and_wait("order.placed", number)).succeeded
        client.may_send.set()
        await anyio.wait_all_tasks_blocked()
        client.gone.set()
    assert client.data == [0, {"missed": 989}, *range(990, 1000)]


@pytest.mark.parametrize("module", [Local(), ReferenceModule()])
async def test_a_client_that_goes_leaves_no_subscription_not_even_in_a_store(module: Any) -> None:
    service = Service(Runtime(module=module))
    client = Client()
    async with service.running() as runtime:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.read, service)
            await anyio.sleep(1)
            assert len(runtime.subscriptions) == 1
            client.gone.set()
        assert not runtime.subscriptions
        if module.name != "local":
            assert not await runtime.stored_subscriptions()


async def test_what_a_killed_process_left_in_the_store_is_removed_by_the_next_one() -> None:
    module = ReferenceModule()

    async def handle(event: Event) -> None:
        pass

    async with Runtime(module=module) as runtime:
        await runtime.spawn(handle, "order.*", name="postroom-stream-left")
        await runtime.spawn(handle, "order.*", name="ledger")
    async with Service(Runtime(module=module)).running() as runtime:
        assert [each.name for each in await runtime.stored_subscriptions()] == ["ledger"]


async def test_a_service_that_ends_ends_its_streams() -> None:
    service = Service(Runtime())
    client = Client()
    async with anyio.create_task_group() as tasks, service.running():
        tasks.start_soon(client.read, service)
        await anyio.wait_all_tasks_blocked()
    assert client.sent[-1] == {"type": "http.response.body", "body": b""}


async def test_one_stream_too_many_is_refused() -> None:
    service = Service(Runtime(), most_streams=1)
    first, second = Client(), Client()
    async with service.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(first.read, service)
        await anyio.wait_all_tasks_blocked()
        await second.read(service)
        first.gone.set()
    assert second.sent[0]["status"] == 503


async def test_an_event_of_a_new_key_takes_the_place_of_the_oldest_where_no_other_of_its_key_waits() -> None:
    feed = Feed(2, "coalesce")
    for number, key in enumerate("abc"):
        feed.put(event(number, key))
    assert await taken(feed) == ['{"missed":1}', "1", "2"]
