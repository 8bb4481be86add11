"""What a person sees at the end: what became of the orders, and the sums that have to agree."""

from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .books import Totals
from .sales import Sales


def show(screen: Console, sales: Sales, totals: Totals) -> None:
    """Print the report.

    Raises:
        OSError: it can't be printed.
    """
    orders = [("read", f"{sales.read:,}"), ("sold", f"{sales.sold:,}")]
    orders += [(why, f"{count:,}") for why, count in sorted(sales.failed.items())]
    _print(screen, "orders", orders)
    _print(
        screen,
        "CDs",
        [
            ("taken off the shelves", f"{totals.taken_off:,}"),
            ("reserved", f"{totals.reserved:,}"),
            ("in orders", f"{totals.ordered:,}"),
        ],
    )
    _print(
        screen,
        "money",
        [
            ("taken", _dollars(totals.paid)),
            ("refunded", _dollars(totals.refunded)),
            ("taken, less refunded", _dollars(totals.paid - totals.refunded)),
            ("in orders", _dollars(totals.sold_cents)),
            ("in the ledger", _dollars(totals.booked)),
        ],
    )
    _print(
        screen,
        "told",
        [("orders in the books", f"{totals.orders:,}"), ("order.placed in the ledger", f"{totals.entries:,}")],
    )
    screen.print(Text("it agrees" if totals.agree else "IT DOES NOT AGREE", style="bold"))
    rate = (sales.sold + sales.failed.total()) / (sales.seconds or 1.0)
    screen.print(Text(f"{sales.read:,} checkouts in {sales.seconds:.2f} s: {rate:,.0f} a second"))


def _dollars(cents: int) -> str:
    return f"{Decimal(cents) / 100:,.2f}"


def _print(screen: Console, title: str, rows: list[tuple[str, str]]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    screen.print(Text(title, style="bold"))
    screen.print(table)
    screen.print()
