"""What users see is typed: checked by the type checkers, and run, so that it is true as well."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, assert_type

from postroom import (
    Batch,
    Cancelled,
    Context,
    DeadLetter,
    Dropped,
    Event,
    Expired,
    Failed,
    Outcome,
    Receipt,
    Report,
    Retry,
    Runtime,
    RuntimeStats,
    Subscriber,
    Subscription,
    SubscriptionStats,
    Succeeded,
    constant,
    exponential,
    subscriber,
)


@subscriber("order.placed")
async def one_argument(event: Event) -> int:
    return 1


@subscriber("order.*", name="two", capacity=4, overflow="coalesce", concurrency=2, retry=Retry(attempts=2), timeout=3)
async def two_arguments(event: Event, context: Context) -> str:
    return context.subscription


@subscriber("plain")
def plain(event: Event) -> bytes:
    return b""


@subscriber("many", batch=Batch(size=10, within=0.1))
async def batches(events: list[Event]) -> None: ...


def kind_of(outcome: Outcome) -> str:
    """Whether the checker sees that all cases are there: there is no return after the match."""
    match outcome:
        case Succeeded(value=value):
            return f"value {value}"
        case Failed(exception=exception):
            assert_type(exception, Exception)
            return f"exception {exception!r}"
        case Dropped(reason=reason) | Expired(reason=reason) | Cancelled(reason=reason):
            assert_type(reason, str)
            return f"reason {reason}"


async def test_declarations_keep_the_types_of_their_handlers() -> None:
    # Not `assert_type`: mypy keeps the names of parameters, which cannot be written here; and what a coroutine
    # function returns has two names. The calls below say the rest.
    one: Subscriber[[Event], Any] = one_argument
    two: Subscriber[[Event, Context], Any] = two_arguments
    three: Subscriber[[Event], bytes] = plain
    four: Subscriber[[list[Event]], Any] = batches
    assert [each.name for each in (one, two, three, four)] == ["one_argument", "two", "plain", "batches"]
    assert_type(await one_argument(Event("order.placed")), int)
    assert_type(plain(Event("plain")), bytes)
    assert await one_argument(Event("order.placed")) == 1


async def test_a_runtime_gives_receipts_reports_and_outcomes() -> None:
    async with Runtime(subscribers=[one_argument, two_arguments]) as runtime:
        assert_type(runtime, Runtime)
        receipt = await runtime.emit("order.placed", {"id": 1}, key="k", priority="high", headers={"a": "b"})
        assert_type(receipt, Receipt)
        report = await receipt
        assert_type(report, Report)
        assert_type(await receipt.wait(), Report)
        assert_type(report.outcomes, tuple[Outcome, ...])
        assert_type(report.of("two"), Outcome)
        assert_type(await runtime.emit_and_wait("order.placed"), Report)
        assert_type(await runtime.emit_many([Event("order.placed")]), list[Receipt])
        assert_type(runtime.emit_nowait("order.placed"), Receipt)
        assert_type(runtime.stats, RuntimeStats)
        assert_type(runtime.subscriptions, Mapping[str, Subscription])
        assert_type(await runtime.dead_letters.list(), tuple[DeadLetter, ...])
        subscription = await runtime.spawn(plain, "order.*", name="spawned", capacity=3)
        assert_type(subscription, Subscription)
        assert_type(subscription.stats, SubscriptionStats)
    assert {kind_of(outcome) for outcome in report.outcomes} == {"value 1", "value two"}


def test_backoffs_are_policies() -> None:
    assert_type(Retry(backoff=exponential(1)), Retry)
    assert_type(Retry(backoff=constant(1), on=(ValueError,)).on, tuple[type[BaseException], ...])


if TYPE_CHECKING:
    # What has to be an error: a suppression that is not needed is one itself.
    subscriber("n", capacty=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    subscriber("n", overflow="never")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    Runtime(one_argument)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
