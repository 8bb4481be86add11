"""Events as CloudEvents, and back."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Event, InvalidOption, NotPortable, Runtime, subscriber
from postroom.observe.cloudevents import InvalidCloudEvent, Mode, from_cloudevent, from_http, to_cloudevent, to_http
from postroom.portable import LARGEST

SMALLEST = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"}

FULL = Event(
    "order.placed",
    {"total": 3, "lines": ["wörter"]},
    "123",
    {"traceparent": "00-1-2-01", "postroom-version": "2"},
    "order-1",
    1522949487.5,
)


def test_a_document_has_the_attributes_of_the_specification() -> None:
    assert to_cloudevent(FULL, source="/shop") == {
        "specversion": "1.0",
        "id": "order-1",
        "source": "/shop",
        "type": "order.placed",
        "time": "2018-04-05T17:31:27.500000Z",
        "partitionkey": "123",
        "traceparent": "00-1-2-01",
        "postroomheaders": '{"postroom-version":"2"}',
        "datacontenttype": "application/json",
        "data": {"total": 3, "lines": ["wörter"]},
    }


def test_a_document_that_comes_in_goes_out_as_it_was() -> None:
    document = {**SMALLEST, "subject": "a/b", "dataschema": "https://shop.example/1", "comexample": "x", "data": 1}
    again = to_cloudevent(from_cloudevent(document), source="/elsewhere")
    assert again == {**document, "datacontenttype": "application/json"}


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_message_in_either_mode_brings_the_event_back(mode: Mode) -> None:
    headers, body = to_http(FULL, source="/shop", mode=mode)
    read = from_http(headers, body)
    assert (read.name, read.data, read.key, read.id, read.time) == (FULL.name, FULL.data, FULL.key, FULL.id, FULL.time)
    assert read.headers == {**FULL.headers, "cloudevents-source": "/shop"}


def test_the_binary_mode_has_attributes_as_headers_with_what_is_not_ascii_encoded() -> None:
    event = Event("order.placed", {"a": 1}, "é %", {}, "1")
    headers, body = to_http(event, source="/shop", mode="binary")
    assert headers == {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/shop",
        "ce-type": "order.placed",
        "ce-partitionkey": "%C3%A9%20%25",
    }
    assert body == b'{"a":1}'


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_bytes_are_carried_as_bytes(mode: Mode) -> None:
    headers, body = to_http(Event("order.placed", b"\x00\xff", id="1"), source="/shop", mode=mode)
    assert from_http(headers, body).data == b"\x00\xff"


texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(
    plain, st.none() | texts.filter(bool), st.dictionaries(texts, texts, max_size=4), st.sampled_from(get_args(Mode))
)
def test_every_event_comes_back(data: Any, key: str | None, headers: dict[str, str], mode: Mode) -> None:
    headers = {name: value for name, value in headers.items() if not name.startswith("cloudevents-")}
    sent = to_http(Event("a.b", data, key, headers, "1", 0.25), source="/shop", mode=mode)
    read = from_http(*sent)
    assert (read.data, read.key, read.time) == (data, key, 0.25)
    assert read.headers == {**headers, "cloudevents-source": "/shop"}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"specversion": "0.3"}, "$.specversion"),
        ({"specversion": None}, "$.specversion"),
        ({"id": ""}, "$.id"),
        ({"id": None}, "$.id"),
        ({"source": ""}, "$.source"),
        ({"source": "a b"}, "$.source"),
        ({"type": "order..placed"}, "$.type"),
        ({"type": 3.5}, "$.type"),
        ({"time": "yesterday"}, "$.time"),
        ({"time": "2018-04-05"}, "$.time"),
        ({"time": "2018-13-05T17:31:00Z"}, "$.time"),
        ({"comExample": "x"}, "$"),
        ({"com-example": "x"}, "$"),
        ({"amount": 2**31}, "$.amount"),
        ({"nested": {}}, "$.nested"),
        ({"data": 1, "data_base64": "AA=="}, "$.data_base64"),
        ({"data_base64": "?"}, "$.data_base64"),
        ({"data_base64": 1}, "$.data_base64"),
        ({"postroomheaders": "[]"}, "$.postroomheaders"),
        ({"postroomheaders": '{"a": 1}'}, "$.postroomheaders"),
        ({"large": "x" * 9000}, "$"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidCloudEvent) as raised:
        from_cloudevent({**SMALLEST, **change})
    assert raised.value.path == path


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, '{"a": 1', "3"])
def test_what_is_no_object_in_json_is_refused(document: bytes | str) -> None:
    with pytest.raises(InvalidCloudEvent, match=r"\$"):
        from_cloudevent(document)


@pytest.mark.parametrize(
    ("headers", "body", "path"),
    [
        ({}, b"{}", "content-type"),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"[]", "content-type"),
        ({"Content-Type": "application/cloudevents+avro"}, b"", "content-type"),
        ({"Content-Type": "application/cloudevents+json; charset=latin-1"}, b"{}", "content-type"),
        ({"ce-specversion": "1.0"}, b"", "ce-id"),
        ({"ce-specversion": "1.0", "ce-a_b": "1"}, b"", "ce-a_b"),
        ({"ce-specversion": "1.0", "ce-a": "%ff"}, b"", "ce-a"),
        ({"ce-specversion": "1.0", "content-type": "application/json"}, b"{", "body"),
    ],
)
def test_a_message_that_breaks_a_rule_is_refused_with_the_header(
    headers: dict[str, str], body: bytes, path: str
) -> None:
    with pytest.raises(InvalidCloudEvent) as raised:
        from_http(headers, body)
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("event", "source", "error"),
    [
        (Event("a.b"), "/shop", InvalidOption),
        (Event("a.b", id="1"), "", InvalidOption),
        (Event("a.b", id="1"), "a b", InvalidOption),
        (Event("a.b", id="1", time=1e18), "/shop", InvalidOption),
        (Event("a.b", {1, 2}, id="1"), "/shop", NotPortable),
    ],
)
def test_an_event_that_can_be_no_cloudevent_is_refused(event: Event, source: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        to_cloudevent(event, source=source)


def test_a_mode_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidOption):
        to_http(FULL, source="/shop", mode="batch")  # type: ignore[arg-type]  # that is the point


async def test_what_was_read_is_emitted_as_any_event() -> None:
    seen: list[Event] = []

    @subscriber("order.*")
    async def handle(event: Event) -> None:
        seen.append(event)

    async with Runtime(subscribers=[handle]) as runtime:
        await runtime.emit_and_wait(from_cloudevent({**SMALLEST, "data": {"a": 1}}))
    assert (seen[0].id, seen[0].data) == ("1", {"a": 1})


def test_attributes_that_are_numbers_or_booleans_are_read_as_their_texts() -> None:
    document = {"specversion": "1.0", "id": "1", "source": "/a", "type": "n", "count": 3, "urgent": True}
    headers = from_cloudevent(document).headers
    assert {"3", "true"} <= set(headers.values())


def test_a_document_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidCloudEvent, match="is the most"):
        from_http({"content-type": "application/cloudevents+json"}, b" " * (2 * LARGEST + 1))
