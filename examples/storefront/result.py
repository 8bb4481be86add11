"""What a run comes to."""

import attrs

from postroom import Runtime, SubscriptionStats

from .shop import Shop
from .tills import Queue


@attrs.frozen(kw_only=True)
class Result:
    """The totals of one run; `--json` prints them, revenue as a decimal string in dollars."""

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


def result_of(shop: Shop, queue: Queue, runtime: Runtime) -> Result:
    """The totals after the runtime's block."""
    stats = runtime.stats
    return Result(
        orders=shop.orders,
        customers=len(shop.customers),
        cds=shop.cds,
        revenue=f"{shop.revenue:.2f}",
        free_orders=shop.free_orders,
        rejected_rows=queue.rejected,
        welcomed=shop.welcomed,
        events_emitted=stats.accepted,
        deliveries=stats.deliveries,
        succeeded=stats.succeeded,
        failed=stats.failed,
        dead_letters=runtime.dead_letters.total,
    )


def stats_by_subscription(runtime: Runtime) -> dict[str, SubscriptionStats]:
    """Each subscription's counters, by name."""
    return {name: subscription.stats for name, subscription in runtime.subscriptions.items()}
