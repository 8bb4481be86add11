"""The module does with the permissions that it documents, and over TLS with a certificate authority of one's own."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from postroom import Event, Runtime, subscriber
from postroom.contract import Settlement, Step, Store
from postroom.journal import Entry, Journal, NewRun, RunState
from postroom.modules.redis.permissions import COMMANDS, rules_of
from postroom.store_errors import StoreBroken
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

from .making import NUMBERS, bind, error_of, event, fetch, hear, module, publish, settle

LUA = Path(__file__).parents[3] / "runtime" / "postroom" / "modules" / "redis" / "lua"


@pytest.fixture
def limited(server: RedisServer) -> Iterator[str]:
    """The URL of a user with the documented permissions."""
    assert server.ask(*f"ACL SETUSER shop reset on >sesame {rules_of()}".split()) == "OK"
    yield server.url.replace("redis://", "redis://shop:sesame@")
    server.ask("ACL", "DELUSER", "shop")


async def everything(store: Store, other: Store) -> None:
    """Every call once."""
    await bind(store, "ledger")
    await bind(other, "bounded", backlog=2, overflow="drop_oldest")
    await publish(store, 1, "a", "b", "c", key="k")
    await publish(store, 2, "d", digest=b"1")
    await publish(store, 3, "d", digest=b"1")
    await publish(store, 4, "later", delay=0.01)
    loans = await fetch(store)
    await store.reclaim([loans[0].token, loans[1].token])
    await settle(store, loans[0])
    await store.settle(next(NUMBERS), [Settlement(loans[1].token, Step.RETURNED, attempts=1, wait=0.01)])
    await fetch(other, name="bounded")
    await store.stage("g", [event("e"), event("f", "order.paid")], 5.0)
    await other.clear("g", ["order.paid"], "no")
    await other.release(1, "g")
    await store.pause("ledger", True)
    await store.pause("ledger", False)
    await hear(store, lambda news: news.routes)
    assert await store.letters(None, None, 5) == []
    assert await store.replay(9, "0") is None
    await store.discard(["0"])
    await store.leave(["ledger"])
    assert await store.remove("ledger") > 0
    await store.subscriptions()


async def everything_of_the_journal(journal: Journal, other: Journal) -> None:
    """Every call once, and what happens when runs are forgotten."""
    for number, id in enumerate("abcd", 1):
        await journal.begin(number, NewRun(id, "ship", b"", b"", "lane" if id == "a" else ""), lend=id != "b")
    await other.begin(1, NewRun("e", "ship", b"", b"", "lane"), lend=True)
    (loan,) = (await journal.take({"ship": 5})).loans
    await other.run("b", watch=True)
    await journal.record(loan.token, [Entry("step", "x")], RunState.COMPENSATING)
    await other.signal("b", Entry("signal", "y"))
    await journal.hand_back(loan.token)
    await journal.reclaim([])
    for loan in (await journal.take({"ship": 5})).loans:
        state = {"a": RunState.FAILED, "b": RunState.SUCCEEDED}.get(loan.run.id, RunState.PARKED)
        await journal.conclude(loan.token, state, b"", [event(f"of {loan.run.id}")], 0)
    assert await other.reopen("b", Entry("signal", "z"))
    assert await other.wake("c")
    assert len(await other.runs(None, None, None, 10)) == 4
    assert await other.forget(["d"]) == 1
    await journal.run("a", watch=True)


async def test_the_documented_permissions_are_enough(limited: str, server: RedisServer) -> None:
    async with module(limited).open("one") as store, module(limited).open("two") as other:
        await everything(store, other)
        await bind(store, "ledger")
        await everything_of_the_journal(store.journal, other.journal)  # type: ignore[attr-defined]
        server.ask("ZADD", "{postroom:default}:rf", 0, "a")
        assert await other.journal.run("a") is None  # type: ignore[attr-defined]
        server.ask("ZADD", "{postroom:default}:lease", 0, "two")
        await store.subscriptions()
        await other.subscriptions()
    log = server.ask("ACL", "LOG")
    assert log == []


async def test_a_runtime_works_with_the_documented_permissions(limited: str) -> None:
    @subscriber("order.*")
    async def ledger(event: Event) -> Any:
        return event.data

    async with Runtime(module=module(limited), subscribers=[ledger]) as runtime:
        report = await runtime.emit_and_wait("order.placed", 7)
    assert report.succeeded


async def test_without_them_it_says_what_is_missing(server: RedisServer) -> None:
    server.ask("ACL", "SETUSER", "poor", "reset", "on", ">sesame", "~*", "+hello", "+info", "+evalsha", "+script|load")
    url = server.url.replace("redis://", "redis://poor:sesame@")

    async def use() -> None:
        async with module(url).open("one"):
            """Not reached."""

    error = await error_of(use)
    assert isinstance(error, StoreBroken)
    assert "may not do" in str(error)


def test_the_documented_permissions_are_those_that_the_scripts_use() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in LUA.glob("*.lua"))
    used = {found.lower() for found in re.findall(r"(?:call|many|gather)\('([A-Z]+)'", text)}
    assert used == set(COMMANDS[8:])


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    own = trustme.CA()
    file = tmp_path / "ca.pem"
    own.cert_pem.write_to_path(str(file))
    return own, file


def tls_of(authority: trustme.CA, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


async def test_the_module_works_over_tls_with_a_private_authority(
    limited: str, server: RedisServer, authority: tuple[trustme.CA, Path]
) -> None:
    own, file = authority
    with Proxy(server.port, tls=tls_of(own, "localhost")) as proxy:
        url = proxy.url.replace("://", "://shop:sesame@")
        async with module(url, tls_ca=file).open("one") as store, module(url, tls_ca=file).open("two") as other:
            await everything(store, other)
        assert proxy.connections >= 3


@pytest.mark.parametrize("host", ["localhost", "elsewhere.example"])
async def test_a_certificate_that_can_not_be_verified_is_refused(
    server: RedisServer, authority: tuple[trustme.CA, Path], host: str
) -> None:
    """Of an unknown authority, or of another host."""
    own, file = authority
    with Proxy(server.port, tls=tls_of(own, host)) as proxy:

        async def use() -> None:
            async with module(proxy.url, tls_ca=None if host == "localhost" else file).open("one"):
                """Not reached."""

        error = await error_of(use)
    assert isinstance(error, StoreBroken)
    assert "certificate" in str(error)


async def test_verification_is_left_out_only_where_that_is_asked_for_and_with_a_warning(
    server: RedisServer, authority: tuple[trustme.CA, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with Proxy(server.port, tls=tls_of(authority[0], "elsewhere.example")) as proxy:
        async with module(proxy.url, tls_verify=False).open("one") as store:
            await bind(store)
    assert "is not verified" in caplog.text
