"""Small promises of the core that no scenario comes by."""

import pytest

from postroom import Event, Runtime
from postroom.capabilities import Unsupported
from postroom.observe.cloudevents import from_http, to_http
from postroom.solo import SoloStore

pytestmark = pytest.mark.anyio


async def test_a_runtime_that_was_not_open_when_its_process_forked_can_be_opened_in_the_child() -> None:
    async def work(event: Event) -> str:
        return "done"

    runtime = Runtime()
    runtime.forked()
    async with runtime:
        await runtime.spawn(work, "n")
        assert (await runtime.emit_and_wait("n")).succeeded


async def test_a_store_for_one_process_refuses_to_stage_where_it_has_no_groups() -> None:
    with pytest.raises(Unsupported, match="`group`"):
        await SoloStore("notebook").stage("g", [], None)


def test_an_event_without_data_is_a_message_without_a_body() -> None:
    headers, body = to_http(Event("order.placed", None, id="1", time=0.0), source="/shop", mode="binary")
    assert body == b""
    assert "content-type" not in headers
    assert from_http(headers, body).data is None
