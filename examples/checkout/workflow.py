"""The checkout: reserve the stock, take the payment, create the order, tell of it; or none of that.

The steps ask the container for the books. A refusal is drawn by the order's number, so that a run which is taken up
again, or begun again after its end was forgotten, decides the same.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final

import anyio.to_thread
import attrs

from postroom import Batch, Event, Flow, PermanentFailure, StepContext, emit_event, step, subscriber, workflow

from .books import Books
from .order import NoSuchAddress, OutOfStock, PaymentRefused, Purchase

TOGETHER: Final = Batch(size=100)


@attrs.frozen(kw_only=True)
class Fate:
    """Which orders go wrong.

    Attributes:
        refuse: The share whose payment is refused, from 0 to 1.
        bounce: The share that can't be created after it was paid.
        seed: Of both.
    """

    refuse: float
    bounce: float
    seed: int

    def strikes(self, what: str, share: float, order: Purchase) -> bool:
        """Whether something happens to an order."""
        return Random(f"{self.seed} {what} {order.number}").random() < share


async def _write(context: StepContext, write: Callable[..., None], *more: Any) -> None:
    await anyio.to_thread.run_sync(write, context.idempotency_key, *more)


async def put_back(_reserved: None, context: StepContext) -> None:
    """Undo `reserve`."""
    await _write(context, (await context.get(Books)).put_back)


async def refund(_paid: None, context: StepContext) -> None:
    """Undo `pay`."""
    await _write(context, (await context.get(Books)).refund)


async def strike(_created: None, context: StepContext) -> None:
    """Undo `create`."""
    await _write(context, (await context.get(Books)).strike)


@step(compensate=put_back)
async def reserve(order: Purchase, context: StepContext) -> None:
    """Take the CDs off the shelves."""
    try:
        await _write(context, (await context.get(Books)).reserve, order)
    except OutOfStock as error:
        raise PermanentFailure(str(error)) from error


@step(compensate=refund)
async def pay(order: Purchase, context: StepContext) -> None:
    """Take the payment; the bank refuses some."""
    fate = await context.get(Fate)
    if fate.strikes("refuse", fate.refuse, order):
        raise PaymentRefused
    await _write(context, (await context.get(Books)).pay, order)


@step(compensate=strike)
async def create(order: Purchase, context: StepContext) -> None:
    """Create the order; some turn out to be impossible once it stands in the books."""
    await _write(context, (await context.get(Books)).create, order)
    fate = await context.get(Fate)
    if fate.strikes("bounce", fate.bounce, order):
        raise NoSuchAddress


@workflow
async def checkout(flow: Flow, order: Purchase) -> int:
    """Sell something; what it cost."""
    await flow.run(reserve, order)
    await flow.run(pay, order)
    await flow.run(create, order)
    await flow.run(emit_event, "order.placed", {"number": order.number, "cents": order.cents})
    return order.cents


def ledger_of(books: Books) -> Any:
    """The subscriber that books what was sold, each event once."""

    @subscriber("order.placed", name="ledger", batch=TOGETHER)
    async def ledger(events: list[Event]) -> None:
        rows = [(each.id, each.data["number"], each.data["cents"]) for each in events]
        await anyio.to_thread.run_sync(books.book, rows)

    return ledger
