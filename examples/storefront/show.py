"""What a person sees at the end: tables and a bar chart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from rich import box
from rich.console import Console, JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from postroom import DeadLetter, Runtime, Subscription

from .result import Result
from .shop import Shop

WIDEST_BAR: Final = 40
BEST: Final = 5


class Screen(Console):
    """A console that leaves it to its user what happens when nobody reads: an `OSError` like any other."""

    def on_broken_pipe(self) -> None:
        raise


def show(
    screen: Console,
    result: Result,
    shop: Shop,
    runtime: Runtime,
    dead: Sequence[DeadLetter],
    seconds: float,
) -> None:
    """Print the whole report.

    Raises:
        OSError: it can't be printed.
    """
    _show_subscriptions(screen, runtime.subscriptions)
    _show_dead_letters(screen, result.dead_letters, dead)
    _show_totals(screen, result, shop)
    _show_months(screen, shop)
    _show_best_customers(screen, shop)
    rate = result.events_emitted / seconds
    screen.print(Text(f"{result.events_emitted:,} events in {seconds:.2f} s: {rate:,.0f} events a second"))


def show_chain(screen: Console, result: Result, seconds: float) -> None:
    """Print the report of a chain of branches.

    Raises:
        OSError: it can't be printed.
    """
    facts = [
        ("orders", f"{result.orders:,}"),
        ("customers", f"{result.customers:,}"),
        ("CDs", f"{result.cds:,}"),
        ("revenue", f"{Decimal(result.revenue):,.2f}"),
        ("free orders", f"{result.free_orders:,}"),
        ("rejected rows", f"{result.rejected_rows:,}"),
        ("deliveries", f"{result.deliveries:,}"),
        ("dead letters", f"{result.dead_letters:,}"),
    ]
    _print_facts(screen, "totals", facts)
    rate = result.events_emitted / seconds
    screen.print(Text(f"{result.events_emitted:,} events in {seconds:.2f} s: {rate:,.0f} events a second"))


def _show_subscriptions(screen: Console, subscriptions: Mapping[str, Subscription]) -> None:
    # A mailbox that says "4 of 4" was full: tills had to wait for room.
    rows = [
        (
            name,
            f"{each.stats.succeeded:,}",
            f"{each.stats.retried:,}",
            f"{each.stats.failed:,}",
            f"{each.stats.high_water_mark:,} of {each.subscriber.capacity:,}",
            f"{each.stats.busy_seconds:.3f}",
        )
        for name, each in subscriptions.items()
    ]
    _print_table(screen, ("subscription", "handled", "retried", "dead", "mailbox peak", "seconds"), rows)


def _show_dead_letters(screen: Console, total: int, letters: Sequence[DeadLetter]) -> None:
    if not total:
        return
    title = f"dead letters: {total:,}"
    if len(letters) < total:
        title += f", the newest {len(letters):,} by reason"
    counts = Counter(f"{letter.subscription}: {letter.reason}" for letter in letters)
    _print_facts(screen, title, [(why, f"{count:,}") for why, count in sorted(counts.items())])


def _show_totals(screen: Console, result: Result, shop: Shop) -> None:
    totals = [
        ("orders", f"{result.orders:,}"),
        ("customers", f"{result.customers:,}"),
        ("CDs", f"{result.cds:,}"),
        ("revenue", f"{Decimal(result.revenue):,.2f}"),
        ("free orders", f"{result.free_orders:,}"),
        ("rejected rows", f"{result.rejected_rows:,}"),
    ]
    if shop.stock.clerks > 1:
        totals.append(("clerks in the stock", f"{shop.stock.clerks:,}"))
    _print_facts(screen, "totals", totals)


def _show_months(screen: Console, shop: Shop) -> None:
    most = max(shop.cents_by_month.values(), default=0) or 1
    widest = max(1, min(WIDEST_BAR, screen.width - 24))
    block = "█" if screen.encoding.startswith("utf") else "#"
    months = sorted(shop.cents_by_month.items())
    rows = [(month, _dollars(cents), block * round(widest * cents / most)) for month, cents in months]
    _print_facts(screen, "revenue by month", rows)


def _show_best_customers(screen: Console, shop: Shop) -> None:
    best = shop.cents_by_customer.most_common(BEST)
    _print_facts(screen, "best customers", [(customer, _dollars(cents)) for customer, cents in best])


def _dollars(cents: int) -> str:
    return f"{Decimal(cents) / 100:,.2f}"


def _print_facts(screen: Console, title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a title, and names with values: narrow enough for any terminal."""
    table = Table.grid(padding=(0, 2))
    justified: tuple[JustifyMethod, ...] = ("left", "right", "left")
    for justify, _ in zip(justified, rows[0] if rows else (), strict=False):
        table.add_column(justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    screen.print(Text(title, style="bold"))
    screen.print(table)
    screen.print()


def _print_table(screen: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; where the terminal is too narrow for it, a paragraph for each row."""
    table = Table(headings[0], box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    if screen.measure(table, options=screen.options.update(max_width=1000)).maximum <= screen.width:
        screen.print(table)
        return
    for name, *values in rows:
        screen.print(Text(name))
        facts = ", ".join(f"{value} {heading}" for heading, value in zip(headings[1:], values, strict=True))
        screen.print(Padding(Text(facts), (0, 0, 0, 2)))
    screen.print()
