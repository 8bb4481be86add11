"""Handlers of processes on a store: each does what the actions of its event say for the attempt that it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zlib import crc32

import anyio
import anyio.lowlevel
import attrs

from postroom import Context, Event, Retry, Subscriber, constant, subscriber
from postroom.delivery import Delivery
from postroom.loans import LoanReceipt
from postroom_actors import current_message

from ..failures import Boom, is_cancellation
from .generator import NAMES
from .program import StoreDraft, StoreSpec

if TYPE_CHECKING:  # a life has handlers, and they have to do with it
    from .process import Life

MARGIN = 0.02
"""Seconds around a timeout in which either outcome is right."""


def declared_for_store(spec: StoreSpec, handler: "StoreHandler") -> Subscriber[..., Any]:
    """The subscriber of a specification."""

    async def handle(event: Event, context: Context) -> Any:
        return await handler.handle(event, context)

    made: Subscriber[..., Any] = subscriber(
        *spec.patterns,
        name=spec.name,
        capacity=spec.capacity,
        concurrency=spec.concurrency,
        retry=Retry(attempts=spec.attempts, backoff=constant(spec.backoff)),
        timeout=spec.timeout,
        backlog=spec.backlog,
    )(handle)
    return made


@attrs.define(eq=False)
class StoreHandler:
    """The handler of one subscription in one life."""

    spec: StoreSpec
    life: "Life"

    async def handle(self, event: Event, context: Context) -> Any:
        life, name = self.life, self.spec.name
        world, model = life.process.world, life.process.model
        if life.killed:  # only its cancellation has not come yet
            await anyio.sleep_forever()
        world.say(f"{life.name} {name} begins {event.id} attempt {context.attempt}")
        run = model.begin(life.session, name, event, context.attempt, token_of(current_message(), event))
        began = world.now()
        how = "raised"
        try:
            await self.act(event, context)
            how = self.how_timely(world.now() - began)
        except BaseException as error:
            how = "cancelled" if is_cancellation(error) else "raised"
            raise
        finally:
            if not life.killed:
                world.say(f"{life.name} {name} ends {event.id} {how}")
                if run is not None:
                    run.ended = how
        return f"{name}/{event.id}/{context.attempt}"

    def how_timely(self, seconds: float) -> str:
        limit = self.spec.timeout
        if limit is None or seconds < limit - MARGIN:
            return "returned"
        return "edge" if seconds < limit + MARGIN else "late"

    async def act(self, event: Event, context: Context) -> None:
        process = self.life.process
        actions = str(event.data).split(",")
        action = "ok" if process.healed.is_set() else actions[min(context.attempt, len(actions)) - 1]
        match action:
            case "yield":
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()
            case "slow":
                await anyio.sleep((0.25, 1.0, 3.0)[crc32(f"{event.id}{self.spec.name}".encode()) % 3])
            case "long":
                await anyio.sleep(20)  # longer than a lease
            case "stubborn":
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(3)
            case "raise":
                await anyio.lowlevel.checkpoint()
                raise Boom(self.spec.name, frozenset([event.id]))
            case "die":
                process.kill(self.life, "killed with deliveries")
                await anyio.sleep_forever()
            case "again":
                with self.waits_in_turn():
                    await self.life.sending.send(self.child(event), context)
            case "again_wait":
                with self.waits_in_turn():
                    await self.life.sending.send_and_wait(self.child(event))
            case _:
                pass

    @contextmanager
    def waits_in_turn(self) -> Iterator[None]:
        """A block in which a handler waits for what others do with its event.

        A circle of waits through several processes is seen by none of them, so there it may wait for ever. Setting
        things right ends that.
        """
        process = self.life.process
        with anyio.CancelScope() as scope:
            if process.program.processes > 1:
                process.may_hang.append(scope)
            yield

    def child(self, event: Event) -> StoreDraft | None:
        """What a handler emits; None where all have emitted enough."""
        world = self.life.process.world
        if not world.nested:
            return None
        world.nested -= 1
        number = crc32(f"{event.id} {self.spec.name}".encode())
        name = event.name if number % 2 else NAMES[number // 2 % len(NAMES)]
        return StoreDraft(name=name, actions=("ok", "slow", "raise")[number // 8 % 3])


def token_of(message: "Delivery | list[Delivery]", event: Event) -> int:
    """The token of the loan under which an event is handled."""
    deliveries = message if isinstance(message, list) else [message]
    (receipt,) = (each.receipt for each in deliveries if each.event.id == event.id)
    assert isinstance(receipt, LoanReceipt)
    return receipt.token
