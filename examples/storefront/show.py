"""What a person sees: a progress bar while it runs, tables and a chart at the end."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from postroom import SubscriptionStats

from .result import Result
from .shop import Shop

WIDEST_BAR = 40


def show(console: Console, result: Result, shop: Shop, stats: Mapping[str, SubscriptionStats], seconds: float) -> None:
    """Print the run's tables."""
    console.print(_subscriptions(stats))
    console.print(_totals(result))
    console.print(_months(shop))
    console.print(_best_customers(shop))
    rate = result.events_emitted / seconds if seconds else 0.0
    console.print(f"{result.events_emitted:,} events in {seconds:.2f} s: {rate:,.0f} events a second")


def _subscriptions(stats: Mapping[str, SubscriptionStats]) -> Table:
    table = Table("subscription", title="Subscriptions")
    for heading in ("handled", "retried", "dead", "most in mailbox", "seconds"):
        table.add_column(heading, justify="right")
    for name, each in stats.items():
        table.add_row(
            name,
            f"{each.succeeded:,}",
            f"{each.retried:,}",
            f"{each.failed:,}",
            f"{each.high_water_mark:,}",
            f"{each.busy_seconds:.3f}",
        )
    return table


def _totals(result: Result) -> Table:
    table = Table("orders", "customers", "CDs", "revenue", "free orders", "rejected rows", title="Totals")
    table.add_row(
        f"{result.orders:,}",
        f"{result.customers:,}",
        f"{result.cds:,}",
        f"{float(result.revenue):,.2f}",
        f"{result.free_orders:,}",
        f"{result.rejected_rows:,}",
    )
    return table


def _months(shop: Shop) -> Table:
    table = Table("month", title="Revenue by month", box=None)
    table.add_column("revenue", justify="right")
    table.add_column("")
    most = max(shop.cents_by_month.values(), default=0)
    for month, cents in sorted(shop.cents_by_month.items()):
        bar = "█" * round(WIDEST_BAR * cents / most) if most else ""
        table.add_row(month, f"{cents / 100:,.2f}", bar)
    return table


def _best_customers(shop: Shop) -> Table:
    table = Table("customer", title="Best customers", box=None)
    table.add_column("revenue", justify="right")
    for customer, cents in shop.cents_by_customer.most_common(5):
        table.add_row(customer, f"{cents / 100:,.2f}")
    return table
