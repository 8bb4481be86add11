"""The storefront's report, on wide and narrow screens."""

import re
from io import StringIO
from pathlib import Path

import pytest

from examples.storefront.replay import Replay
from examples.storefront.result import result_of
from examples.storefront.shop import Shop
from examples.storefront.show import Screen, show


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text("1997-01-01,7,1,1000.00\n" * 30 + "1997-02-01,8,2,15000.50\n" + "1997-03-01,8,1,0.00\n")
    return path


async def report(orders: Path, width: int, fail: float = 0.0, terminal: bool = False) -> str:
    replay = Replay(path=orders, shop=Shop(fail=fail, pack_for=1.0))
    await replay.run()
    file = StringIO()
    screen = Screen(file=file, width=width, force_terminal=terminal)
    show(screen, result_of(replay), replay.shop, replay.runtime, replay.dead, 2.0)
    return file.getvalue()


async def test_the_slow_subscribers_mailbox_was_as_full_as_it_may_get(orders: Path) -> None:
    text = await report(orders, 80)
    (warehouse,) = [line.split() for line in text.splitlines() if "warehouse" in line]
    assert warehouse[:7] == ["warehouse", "32", "0", "0", "4", "of", "4"]


async def test_the_totals_are_exact(orders: Path) -> None:
    text = await report(orders, 80)
    totals = text[text.index("totals") : text.index("revenue by month")]
    assert [line.rsplit(maxsplit=1) for line in totals.split("\n")[1:7]] == [
        ["orders", "32"],
        ["customers", "2"],
        ["CDs", "33"],
        ["revenue", "45,000.50"],
        ["free orders", "1"],
        ["rejected rows", "0"],
    ]
    assert text.endswith("34 events in 2.00 s: 17 events a second\n")


@pytest.mark.parametrize(("width", "longest"), [(80, 40), (200, 40), (40, 16)])
async def test_the_longest_bar_is_the_best_month_and_the_others_are_in_proportion(
    width: int, longest: int, orders: Path
) -> None:
    text = await report(orders, width)
    months = text[text.index("1997-01") : text.index("best customers")].splitlines()
    assert [line.count("█") for line in months[:3]] == [longest, longest // 2, 0]


async def test_dead_letters_are_counted_by_subscription_and_reason(orders: Path) -> None:
    assert "dead letters: 34\nmailer: MailServerBusy in attempt 4  34\n" in await report(orders, 80, fail=1.0)
    assert "dead letters" not in await report(orders, 80)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
async def test_no_line_is_wider_than_the_screen_and_nothing_is_cut_off(width: int, orders: Path) -> None:
    text = await report(orders, width, fail=1.0)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in ("best-customers", "warehouse", "4 of 4", "45,000.50", "30,000.00", "15,000.50"):
        assert word in text.replace("\n  ", " ")


@pytest.mark.parametrize("width", [40, 80])
async def test_a_terminal_sees_bold_headings_and_no_color(
    width: int, orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = await report(orders, width, fail=1.0, terminal=True)
    assert set(re.findall("\x1b[^m]*m", text)) == {"\x1b[1m", "\x1b[0m"}
