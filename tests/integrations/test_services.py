"""The example services, driven through real servers: hypercorn on trio, uvicorn on asyncio."""

import json
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers.web import WebServer, signature

pytestmark = pytest.mark.slow

SERVICES = [
    ("examples.services.on_starlette:app", "hypercorn"),
    ("examples.services.on_starlette:app", "uvicorn"),
    ("examples.services.on_fastapi:app", "hypercorn"),
    ("examples.services.on_fastapi:app", "uvicorn"),
    ("examples.services.on_quart:app", "hypercorn"),
    ("tests.integrations.quart_on_asyncio:app", "uvicorn"),
    ("examples.services.on_litestar:app", "hypercorn"),
    ("examples.services.on_litestar:app", "uvicorn"),
]


@pytest.fixture(scope="module", params=SERVICES, ids=lambda service: "-".join(service))
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    app, server = request.param
    with WebServer(app, server, tmp_path_factory.mktemp("web")) as started:
        yield started


def rows(web: WebServer, **wanted: Any) -> list[tuple[Any, ...]]:
    """What the ledger has where these columns have these values, once it has anything, or after a while."""
    where = " AND ".join(f"{name} = ?" for name in wanted)
    for _ in range(200):
        if web.ledger.exists():
            with closing(sqlite3.connect(web.ledger, timeout=10)) as db:
                try:
                    found = db.execute(f"SELECT id, size, trace FROM orders WHERE {where}", (*wanted.values(),))
                    if listed := found.fetchall():
                        return listed
                except sqlite3.OperationalError:
                    pass  # there is no table yet
        time.sleep(0.02)
    return []


def order(number: int, size: int = 0) -> bytes:
    return json.dumps({"number": number, "note": "x" * size}).encode()


def test_it_says_that_it_is_alive_and_ready(web: WebServer) -> None:
    assert web.get("/health/live") == (200, {"status": "alive"})
    assert web.get("/health/ready") == (200, {"status": "ready"})


def test_a_request_emits_and_its_trace_goes_with_the_event(web: WebServer) -> None:
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    status, answer = web.ask("POST", "/orders", order(1), content_type="application/json", traceparent=trace)
    assert status == 202
    assert rows(web, number=1) == [(answer["id"], 0, trace)]


def test_a_webhook_is_accepted_once_and_its_repetition_told(web: WebServer) -> None:
    first = web.post_webhook("delivery-2", order(2), traceparent="00-1-1-01")
    again = web.post_webhook("delivery-2", order(2), traceparent="00-2-2-01")
    assert first == (202, {"id": "delivery-2", "repeated": False})
    assert again == (200, {"id": "delivery-2", "repeated": True})
    assert rows(web, number=2) == [("delivery-2", 0, "00-1-1-01")]


def test_a_delivery_id_with_something_else_in_it_is_a_conflict(web: WebServer) -> None:
    web.post_webhook("delivery-3", order(3))
    assert web.post_webhook("delivery-3", order(33))[0] == 409


def test_a_wrong_signature_and_a_missing_one_are_refused(web: WebServer) -> None:
    assert web.post_webhook("delivery-4", order(4), secret="another")[0] == 401
    assert web.ask("POST", "/hooks/orders", order(4), x_github_delivery="delivery-4")[0] == 401
    assert web.post_webhook("delivery-4", order(4), **{"x-hub-signature-256": "sha256=é"})[0] == 401
    assert not rows_at_once(web, 4)


def rows_at_once(web: WebServer, number: int) -> list[Any]:
    """What the ledger has of an order, after one that came later was written."""
    marker = f"marker-{time.monotonic_ns()}"
    web.post_webhook(marker, order(1000))
    assert rows(web, id=marker)
    with closing(sqlite3.connect(web.ledger, timeout=10)) as db:
        return db.execute("SELECT id FROM orders WHERE number = ?", (number,)).fetchall()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100, b"[" * 100 + b"]" * 100])
def test_what_is_no_json_is_refused(web: WebServer, body: bytes) -> None:
    assert web.post_webhook("delivery-5", body)[0] == 400


def test_a_webhook_without_a_delivery_id_is_refused(web: WebServer) -> None:
    body = order(6)
    assert web.ask("POST", "/hooks/orders", body, x_hub_signature_256=signature(body))[0] == 400


@pytest.mark.parametrize("size", [200, 65_536, 1024 * 1024])
def test_bodies_up_to_the_limit_are_taken(web: WebServer, size: int) -> None:
    number = 10_000_000 + size
    body = order(number, size - len(order(number)))
    assert len(body) == size
    assert web.post_webhook(f"delivery-{size}", body)[0] == 202
    assert [row[0] for row in rows(web, number=number)] == [f"delivery-{size}"]


@pytest.mark.parametrize("beyond", [1, 1024 * 1024])
def test_a_body_beyond_the_limit_is_refused(web: WebServer, beyond: int) -> None:
    body = order(7, 1024 * 1024 + beyond)
    assert web.post_webhook("delivery-7", body)[0] == 413
    assert not rows_at_once(web, 7)


def test_a_body_without_a_length_that_goes_on_beyond_the_limit_is_refused(web: WebServer) -> None:
    with socket.create_connection(("127.0.0.1", web.port), 30) as connection:
        head = f"x-hub-signature-256: {signature(b'')}\r\nx-github-delivery: delivery-8\r\ntransfer-encoding: chunked"
        connection.sendall(f"POST /hooks/orders HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        for _ in range(20):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        assert b" 413 " in connection.makefile("rb").readline()


def test_a_body_that_is_cut_off_is_not_accepted(web: WebServer) -> None:
    body = order(9, 1000)
    with socket.create_connection(("127.0.0.1", web.port), 30) as connection:
        head = f"x-hub-signature-256: {signature(body)}\r\nx-github-delivery: delivery-9\r\ncontent-length: {len(body)}"
        connection.sendall(f"POST /hooks/orders HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n".encode() + body[:-1])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()
    assert not answer or b" 400 " in answer  # some servers close at once: there is nobody to tell it to
    assert not rows_at_once(web, 9)


def test_a_stream_has_the_events_from_its_beginning_on(web: WebServer) -> None:
    with web.stream("/events") as stream:
        stream.until(": subscribed")
        web.post_webhook("delivery-10", order(10))
        assert "event: order.placed" in stream.until("id: delivery-10")
        assert json.loads(stream.until("data: ")[-1].removeprefix("data: "))["number"] == 10


def test_a_stream_whose_client_has_gone_ends_its_subscription(web: WebServer) -> None:
    def streams() -> list[str]:
        return [name for name in web.get("/subscriptions")[1] if name.startswith("postroom-stream-")]

    for _ in range(3):
        with web.stream("/events") as stream:
            stream.until(": subscribed")
            assert streams()
    until = time.monotonic() + 20
    while streams():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(("app", "server"), SERVICES)
def test_a_stop_in_the_middle_handles_what_was_accepted(app: str, server: str, tmp_path: Path) -> None:
    with WebServer(app, server, tmp_path) as web:
        for number in range(30):
            assert web.post_webhook(f"delivery-{number}", order(number))[0] == 202
        status = web.end(signal.SIGTERM)
        assert status in (0, -signal.SIGTERM)  # uvicorn repeats the signal once it is done
        with closing(sqlite3.connect(web.ledger)) as db:
            assert db.execute("SELECT count(*) FROM orders").fetchone() == (30,)
