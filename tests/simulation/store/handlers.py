"""Handlers of processes on a store: each does what the actions of its event say for the attempt that it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zlib import crc32

import anyio
import anyio.lowlevel
import attrs

from postroom import BatchFailure, Context, Event
from postroom.loans import LoanReceipt
from postroom_actors import current_message

from ..failures import Boom, is_cancellation
from .generator import NAMES
from .program import StoreDraft, StoreSpec
from .records import Loan

if TYPE_CHECKING:  # a life has handlers, and they have to do with it
    from .process import Life

MARGIN = 0.02
"""Seconds around a timeout in which either outcome is right."""


@attrs.define(eq=False)
class StoreHandler:
    """The handler of one subscription in one life.

    Attributes:
        live: Calls that have not ended.
        instances: Of an actor, that have started.
    """

    spec: StoreSpec
    life: "Life"
    live: int = 0
    instances: int = 0

    @property
    def late(self) -> int:
        """How many calls may go on beside the others: of lost loans, whose places are taken by fresh workers."""
        model = self.life.process.model
        return sum(
            run.ended is None and run.session == self.life.session and run.token in model.void
            for one in {id(each): each for each in model.tokens.values()}.values()  # those of before a replay, too
            if one.subscription == self.spec.name
            for run in one.runs
        )

    async def handle(self, events: list[Event], context: Context) -> Any:
        """What every handler does, with one event or with a batch of them."""
        life, name = self.life, self.spec.name
        world, model = life.process.world, life.process.model
        if life.killed:  # only its cancellation has not come yet
            await anyio.sleep_forever()
        loans = loans_in_hand()
        ids = " ".join(event.id for event in events)
        world.say(f"{life.name} {name} begins {ids} attempt {[loan.attempt for loan in loans]}")
        self.live += 1
        if self.live > self.spec.concurrency + self.late:
            world.complain(f"{name} handles {self.live} at the same time in {life.name}")
        life.changing.check_may_begin(self.spec, ids)
        if len(events) > 1:
            world.sometimes.hit("batch")
        runs = [model.begin(life.session, name, event, loan) for event, loan in zip(events, loans, strict=True)]
        began = world.now()
        how = "raised"
        spared: frozenset[str] = frozenset()
        try:
            await self.act(events, context, loans[0].attempt)
            how = self.how_timely(world.now() - began)
        except BatchFailure as error:
            spared = frozenset(event.id for event in events) - frozenset(error.failures)
            world.sometimes.hit("part of a batch failed")
            raise
        except BaseException as error:
            how = "cancelled" if is_cancellation(error) else "raised"
            raise
        finally:
            self.live -= 1
            if not life.killed:
                world.say(f"{life.name} {name} ends {ids} {how}")
                for event, run in zip(events, runs, strict=True):
                    if run is not None:
                        run.ended = "returned" if event.id in spared else how
        return f"{name}/{ids}"

    def how_timely(self, seconds: float) -> str:
        limit = self.spec.timeout
        if limit is None or seconds < limit - MARGIN:
            return "returned"
        return "edge" if seconds < limit + MARGIN else "late"

    async def act(self, events: list[Event], context: Context, attempt: int) -> None:
        process, event = self.life.process, events[0]
        actions = str(event.data).split(",")
        action = "ok" if process.healed.is_set() else actions[min(attempt, len(actions)) - 1]
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
                raise Boom(self.spec.name, frozenset(each.id for each in events))
            case "part" if len(events) > 1:
                raise BatchFailure({event.id: Boom(self.spec.name, frozenset([event.id]))})
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


def loans_in_hand() -> list[Loan]:
    """Under which loan, and in which attempt, each of the events is handled that the caller has in hand.

    An event may be there twice: lent again to a process that has not heard yet that its lease had run out.
    """
    message = current_message()
    loans: list[Loan] = []
    for delivery in message if isinstance(message, list) else [message]:
        assert isinstance(delivery.receipt, LoanReceipt)
        loans.append(Loan(delivery.receipt.token, delivery.attempt))
    return loans
