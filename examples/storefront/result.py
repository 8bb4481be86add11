"""What a replay comes to."""

from decimal import Decimal

import attrs

from .chain import Chain
from .replay import Replay


@attrs.frozen(kw_only=True)
class Result:
    """The totals of one replay; `--json` prints them, revenue as a decimal string in dollars."""

    orders: int
    customers: int
    cds: int
    revenue: str
    free_orders: int
    rejected_rows: int
    welcomed: int
    events_emitted: int
    deliveries: int
    succeeded: int
    failed: int
    dead_letters: int


def result_of_chain(chain: Chain) -> Result:
    """The totals of a chain, by its books. A delivery is an entry there, or a dead letter."""
    totals = chain.books.totals()
    return Result(
        orders=totals.orders,
        customers=totals.customers,
        cds=totals.cds,
        revenue=f"{Decimal(totals.cents) / 100:.2f}",
        free_orders=totals.free_orders,
        rejected_rows=chain.rejected,
        welcomed=totals.welcomed,
        events_emitted=totals.orders + totals.welcomed,
        deliveries=totals.entries + len(chain.dead),
        succeeded=totals.entries,
        failed=len(chain.dead),
        dead_letters=len(chain.dead),
    )


def result_of(replay: Replay) -> Result:
    """The totals after the replay, or of what was done until it was stopped."""
    shop = replay.shop
    stats = replay.runtime.stats
    return Result(
        orders=shop.orders,
        customers=len(shop.customers),
        cds=shop.cds,
        revenue=f"{shop.revenue:.2f}",
        free_orders=shop.free_orders,
        rejected_rows=replay.rejected,
        welcomed=shop.welcomed,
        events_emitted=stats.accepted,
        deliveries=stats.deliveries,
        succeeded=stats.succeeded,
        failed=stats.failed,
        dead_letters=replay.runtime.dead_letters.total,
    )
