"""The storefront's replay, in virtual time: failures, backpressure and memory."""

import os
import signal
import tracemalloc
from itertools import islice
from pathlib import Path

import anyio
import pytest

from examples.storefront.__main__ import ORDERS
from examples.storefront.replay import FINISH_WITHIN, MOST_REJECTED_SHOWN, Replay
from examples.storefront.result import result_of
from examples.storefront.shop import Shop
from examples.storefront.source import Source


@pytest.fixture
def some_orders(tmp_path: Path) -> Path:
    """The first 100 orders."""
    path = tmp_path / "some.csv"
    with ORDERS.open("rb") as file:
        path.write_bytes(b"".join(islice(file, 101)))
    return path


@pytest.mark.parametrize("fail", [0.0, 0.05, 0.5, 1.0])
async def test_every_failed_attempt_ends_in_a_success_or_a_dead_letter(fail: float, some_orders: Path) -> None:
    replay = Replay(path=some_orders, shop=Shop(fail=fail))
    await replay.run()
    result = result_of(replay)
    assert result.orders == 100
    assert result.deliveries == 6 * 100 + result.welcomed == result.succeeded + result.failed
    assert result.failed == result.dead_letters == replay.runtime.dead_letters.kept
    assert {letter.subscription for letter in replay.dead} <= {"mailer"}
    mailer = replay.runtime.subscriptions["mailer"].stats
    assert mailer.succeeded == replay.shop.mails


async def test_a_mailer_that_always_fails_leaves_a_dead_letter_for_each_mail(some_orders: Path) -> None:
    replay = Replay(path=some_orders, shop=Shop(fail=1.0))
    await replay.run()
    result = result_of(replay)
    assert result.failed == result.dead_letters == 100 + result.welcomed
    assert replay.runtime.stats.retried == 3 * result.failed


async def test_a_slow_subscriber_with_a_small_mailbox_holds_the_tills_back(some_orders: Path) -> None:
    replay = Replay(path=some_orders, shop=Shop(pack_for=1.0), tills=8)
    await replay.run()
    peaks = {name: each.stats.high_water_mark for name, each in replay.runtime.subscriptions.items()}
    assert peaks["warehouse"] == replay.runtime.subscriptions["warehouse"].subscriber.capacity == 4
    assert max(peaks["ledger"], peaks["customers"], peaks["months"], peaks["best-customers"]) <= 8
    assert replay.shop.stock.orders == 100


async def test_rejected_rows_are_told_up_to_a_limit_and_counted_beyond(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(b"\x1b[31mbad\x00,1,1,1\n" * 50 + b"1997-01-01,1,1,1.00\n")
    replay = Replay(path=path, shop=Shop())
    await replay.run()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"line 1: '\x1b[31mbad\x00' is no date (YYYY-MM-DD)"
    assert lines[MOST_REJECTED_SHOWN:] == ["more rejected rows follow; they are only counted"]
    assert (replay.rejected, replay.shop.orders) == (50, 1)


async def test_the_last_order_counts_where_no_line_end_follows_it(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(b"1997-01-01,1,1,1.00\n1997-01-01,2,1,1.00")
    replay = Replay(path=path, shop=Shop())
    await replay.run()
    assert (replay.shop.orders, replay.rejected) == (2, 0)


async def test_a_file_that_breaks_in_the_middle_keeps_what_was_read_before(
    some_orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Source.read

    async def breaks(source: Source) -> bytes:
        if source.bytes_read:
            raise OSError(5, "Input/output error")
        return await read(source)

    monkeypatch.setattr(Source, "read", breaks)
    replay = Replay(path=some_orders, shop=Shop())
    await replay.run()
    assert isinstance(replay.broken, OSError)
    assert replay.shop.orders == 100


async def test_nothing_stays_open_after_a_replay(some_orders: Path) -> None:
    before = set(os.listdir("/dev/fd"))
    await Replay(path=some_orders, shop=Shop()).run()
    assert set(os.listdir("/dev/fd")) == before


def orders_of_50_customers(path: Path, count: int) -> Path:
    path.write_text("".join(f"1997-{n % 12 + 1:02}-01,{n % 50},1,{n % 100}.99\n" for n in range(count)))
    return path


async def peak_of_replaying(path: Path) -> int:
    replay = Replay(path=path, shop=Shop())
    tracemalloc.start()
    try:
        await replay.run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
async def test_memory_grows_with_customers_and_not_with_orders(tmp_path: Path) -> None:
    few = orders_of_50_customers(tmp_path / "few.csv", 1000)
    many = orders_of_50_customers(tmp_path / "many.csv", 10_000)
    await peak_of_replaying(few)  # fills the caches of what is used for the first time
    assert await peak_of_replaying(many) < 1.2 * await peak_of_replaying(few)


async def test_orders_in_hand_are_finished_for_so_long_after_a_signal_and_no_longer(
    some_orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay = Replay(path=some_orders, shop=Shop(pack_for=3600.0), tills=8)
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(replay.run)
        await anyio.sleep(1)
        signal.raise_signal(signal.SIGTERM)
    assert anyio.current_time() - begun < 1 + FINISH_WITHIN + 11  # and the runtime's own `drain_within`
    assert (replay.stopped_by, replay.cut_short) == (signal.SIGTERM, True)
    told = capsys.readouterr().err
    assert "leaving after 30 s; 8 orders in hand are not finished: nothing keeps what was accepted\n" in told
