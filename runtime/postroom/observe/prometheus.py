"""Metrics for Prometheus, read from `runtime.snapshot()` when they are asked for. Extra: `prometheus`.

No event pays for them: a scrape costs a snapshot. How long handlers took is told as summaries without quantiles, sum
and count, since that is what the runtime counts; for a histogram see `postroom.observe.opentelemetry`.

Units: seconds; the rest are counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from ..checks import count_of
from ..errors import Closed, WrongThread
from ..runtime import Runtime
from ..snapshots import Snapshot, SubscriptionSnapshot

OUTCOMES: Final = ("succeeded", "failed", "dropped", "expired", "cancelled")

OTHERS: Final = "(others)"
"""The label of all subscriptions that have none of their own, and of those that have ended."""

STREAMS: Final = "postroom-stream-"
"""How the names of subscriptions begin that come and go with clients; they never have a label of their own."""

DEFAULT_LABELS: Final = 200


@attrs.define(eq=False)
class RuntimeCollector(Collector):
    """The metrics of one runtime: `REGISTRY.register(RuntimeCollector(runtime))`.

    It may be asked in any thread. In another one than the event loop's, it waits until the loop answers: while a
    handler blocks the loop, a scrape waits, too.

    Attributes:
        runtime: May be entered before or after this is made; it may be closed.
        most_subscriptions: Subscriptions that have a label of their own, first come, first served. All others count
            together under `(others)`, also those that a client's stream has made, and those that have ended.

    Raises:
        InvalidOption: a number that is none.
    """

    runtime: Runtime
    most_subscriptions: int = attrs.field(default=DEFAULT_LABELS, validator=count_of("subscriptions"), kw_only=True)
    _shown: set[str] = attrs.field(factory=set, init=False)

    def describe(self) -> Iterable[Metric]:
        """None by name: what there is would have to be asked, and the runtime may not be open yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics at this moment."""
        snapshot = self._snapshot()
        shown = [each for each in snapshot.subscriptions if self._is_shown(each.name)]
        others = [each for each in snapshot.subscriptions if each.name not in self._shown]
        yield from _of_runtime(snapshot)
        yield from _of_outcomes(snapshot, shown)
        yield from _of_mailboxes(shown, others)
        yield from _of_times(shown)

    def _snapshot(self) -> Snapshot:
        try:
            return self.runtime.snapshot()
        except WrongThread:
            pass
        try:
            return self.runtime.snapshot_from_thread()
        except Closed:  # it has closed since, so that any thread may look
            return self.runtime.snapshot()

    def _is_shown(self, name: str) -> bool:
        if name in self._shown:
            return True
        if name.startswith(STREAMS) or len(self._shown) >= self.most_subscriptions:
            return False
        self._shown.add(name)
        return True


def _of_runtime(snapshot: Snapshot) -> Iterator[Metric]:
    stats, dead = snapshot.stats, snapshot.dead_letters
    yield _counter("postroom_events_accepted", "Events accepted.", stats.accepted)
    yield _counter("postroom_events_unrouted", "Accepted events that nobody subscribed to.", stats.unrouted)
    yield _gauge("postroom_events_staged", "Events in groups, not accepted yet.", stats.staged)
    yield _gauge(
        "postroom_deliveries_scheduled", "Deliveries that are delayed or wait to be retried.", snapshot.scheduled
    )
    yield _gauge("postroom_dead_letters", "Dead letters that are kept in memory.", dead.kept)
    yield _counter("postroom_dead_letters_added", "Dead letters ever added.", dead.total)
    yield _counter("postroom_dead_letters_evicted", "Dead letters that went to make room.", dead.evicted)
    yield _gauge("postroom_open", "1 while the runtime takes in events.", int(snapshot.state == "open"))


def _of_outcomes(snapshot: Snapshot, shown: Sequence[SubscriptionSnapshot]) -> Iterator[Metric]:
    """What became of deliveries. The rest under `(others)` never goes down: it includes those that have ended."""
    outcomes = CounterMetricFamily(
        "postroom_deliveries", "Deliveries that have ended, by outcome.", labels=("subscription", "outcome")
    )
    for outcome in OUTCOMES:
        rest = int(getattr(snapshot.stats, outcome))
        for each in shown:
            count = getattr(each.stats, outcome)
            rest -= count
            outcomes.add_metric((each.name, outcome), count)
        outcomes.add_metric((OTHERS, outcome), rest)
    yield outcomes
    for name, field, text in (
        ("postroom_deliveries_accepted", "deliveries", "Deliveries taken in."),
        ("postroom_deliveries_retried", "retried", "Attempts that were made again."),
        ("postroom_deliveries_returned", "returned", "Deliveries that went back to the store."),
    ):
        family = CounterMetricFamily(name, text, labels=("subscription",))
        rest = int(getattr(snapshot.stats, field))
        for each in shown:
            count = each.stats.accepted if field == "deliveries" else getattr(each.stats, field)
            rest -= count
            family.add_metric((each.name,), count)
        family.add_metric((OTHERS,), rest)
        yield family


def _of_mailboxes(shown: Sequence[SubscriptionSnapshot], others: Sequence[SubscriptionSnapshot]) -> Iterator[Metric]:
    for name, text, value_of in (
        ("postroom_mailbox_length", "Deliveries in the mailbox.", lambda each: each.mailbox.length),
        (
            "postroom_mailbox_in_line",
            "Deliveries that wait for room in the mailbox.",
            lambda each: each.mailbox.in_line,
        ),
        ("postroom_mailbox_capacity", "Deliveries that the mailbox holds.", lambda each: each.mailbox.capacity),
        ("postroom_deliveries_in_hand", "Deliveries that handlers have now.", lambda each: each.stats.in_hand),
        ("postroom_deliveries_pending", "Deliveries without an outcome.", lambda each: each.stats.pending),
        ("postroom_handlers_stuck", "Handlers that ignore their cancellation.", lambda each: each.stats.stuck),
        ("postroom_subscription_paused", "1 while it is paused.", lambda each: int(each.stats.paused)),
        ("postroom_breaker_open", "1 while its breaker is open.", lambda each: int(each.stats.breaker == "open")),
    ):
        family = GaugeMetricFamily(name, text, labels=("subscription",))
        for each in shown:
            family.add_metric((each.name,), value_of(each))
        family.add_metric((OTHERS,), sum(map(value_of, others)))
        yield family


def _of_times(shown: Sequence[SubscriptionSnapshot]) -> Iterator[Metric]:
    handling = SummaryMetricFamily(
        "postroom_handling_seconds", "Time that attempts took in the handler.", labels=("subscription",)
    )
    waiting = SummaryMetricFamily(
        "postroom_waiting_seconds", "Time in the mailbox of deliveries that succeeded.", labels=("subscription",)
    )
    restarts = CounterMetricFamily(
        "postroom_restarts", "Fresh instances made by supervision.", labels=("subscription",)
    )
    for each in shown:
        stats: Any = each.stats
        attempts = stats.succeeded + stats.failed + stats.retried
        handling.add_metric((each.name,), count_value=attempts, sum_value=stats.busy_seconds)
        waiting.add_metric((each.name,), count_value=stats.succeeded, sum_value=stats.waited_seconds)
        restarts.add_metric((each.name,), stats.restarts)
    yield from (handling, waiting, restarts)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
