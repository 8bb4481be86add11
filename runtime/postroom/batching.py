"""A subscription whose handler takes several events at once: each delivery still settles by itself."""

import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import attrs

from postroom_actors import Actor, Admission, BatchActor

from .batch import BatchFailure
from .behaviour import SubscriptionBehaviour
from .calls import call_of, timed_by
from .context import Context
from .delivery import Delivery
from .errors import HandlerAborted, UnreadableEvent

Read: TypeAlias = tuple[list[Delivery], list[Any]]
"""A batch, and what its handler gets for it."""


@attrs.define(eq=False)
class BatchingBehaviour(SubscriptionBehaviour):
    """The deliveries of a subscription with `batch=`."""

    _call_all: Callable[[Read], Awaitable[object]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        assert isinstance(self.actor, BatchActor), "hired below"
        handler = self.subscriber.handler
        call: Callable[[Read], Awaitable[object]] = call_of(
            handler,
            lambda batch: handler(batch[1]),
            lambda batch: handler(batch[1], self._context_of(batch[0])),
            anyio.CapacityLimiter(self.subscriber.concurrency),  # its own, so that nobody else's hang stops it
        )
        self._call_all = self.around.surrounded(call, lambda batch: self._context_of(batch[0]), self)
        self.actor.batches = _Batches(self, self._in_time(self._call_all))

    def _hire(self) -> Actor[Delivery]:
        batch = self.subscriber.batch
        assert batch is not None, "the caller chooses the class by it"
        return BatchActor(
            self.name,
            self.mailbox,
            self,  # pyright: ignore[reportArgumentType] - it takes the field `receive` of a subclass for a method
            self.subscriber.concurrency,
            size=batch.size,
            within=batch.within,
        )

    def limit_of(self, message: Any) -> float:
        """A batch may take as long as the event that may take the shortest."""
        return min(map(super().limit_of, message), default=math.inf)

    def expect_timeouts(self) -> None:
        if not self._by_event:
            self._by_event = True
            assert isinstance(self.actor, BatchActor), "hired above"
            call = timed_by(
                self._call_all,
                self.name,
                lambda batch: self.limit_of(batch[0]),
                self.port,
                self._look_after().expect_by,
            )
            self.actor.batches = _Batches(self, self._watched(call))

    def values_of(self, batch: list[Delivery]) -> list[Any]:
        """What the handler gets for a batch. What nobody can read as that settles by itself, and leaves the batch."""
        copy = self.around.copy or _itself
        if self.read is None:
            return [copy(delivery).event for delivery in batch]
        values: list[Any] = []
        readable: list[Delivery] = []
        for delivery in batch:
            try:
                values.append(self.read(copy(delivery).event))
            except UnreadableEvent as error:
                now = self.port.stopwatch()
                self.failed(delivery, error, now, now)  # for good, so there is no room to wait for
            else:
                readable.append(delivery)
        batch[:] = readable
        return values

    def _context_of(self, batch: list[Delivery]) -> Context:
        # What the handler emits continues the longest chain of causes, so that no loop hides in batches.
        return self.around.context(max(batch, key=lambda delivery: delivery.event.depth), self.name)


def _itself(delivery: Delivery) -> Delivery:
    return delivery


@attrs.define(eq=False)
class _Batches:
    """What an actor does with a batch: time is shared out evenly, and each delivery goes its own way."""

    single: BatchingBehaviour
    call: Callable[[Read], Awaitable[object]]

    async def receive(self, batch: list[Delivery]) -> object:
        values = self.single.values_of(batch)
        return await self.call((batch, values)) if batch else None

    def succeeded(self, batch: list[Delivery], result: object, started: float, ended: float) -> None:
        if not batch:
            return
        ended = started + (ended - started) / len(batch)
        for delivery in batch:
            self.single.succeeded(delivery, result, started, ended)

    def failed(self, batch: list[Delivery], error: BaseException, started: float, ended: float) -> Admission | None:
        ended = started + (ended - started) / len(batch)
        failures = self._failures(batch, error)
        room: Admission | None = None
        for delivery in batch:  # first, since each sets its key free, which a retry of another one is to hold
            if delivery.event.id not in failures:
                self.single.succeeded(delivery, None, started, ended)
        for delivery in reversed(batch) if self.single.goes_back(error) else batch:  # each one in front of all
            failure = failures.get(delivery.event.id)
            if failure is not None:  # lines are first come, first served: who has the last one's room has them all
                room = self.single.failed(delivery, failure, started, ended) or room
        return room

    def _failures(self, batch: list[Delivery], error: BaseException) -> dict[str, BaseException]:
        """What went wrong with each event, by id; those that are missing succeeded."""
        ids = {delivery.event.id for delivery in batch}
        if isinstance(error, BatchFailure):
            if ids.issuperset(error.failures):
                return dict(error.failures)
            # Nobody can tell what has failed then; that all have is the answer that loses nothing.
            aborted = HandlerAborted(self.single.name, "raised a BatchFailure with ids that its batch doesn't have")
            aborted.__cause__ = error
            error = aborted
        return dict.fromkeys(ids, error)

    def cancelled(self, batch: list[Delivery], started: float, ended: float) -> None:
        ended = started + (ended - started) / len(batch)
        for delivery in batch:
            self.single.cancelled(delivery, started, ended)

    def interrupted(self, batch: list[Delivery], interrupt: BaseException) -> None:
        for delivery in batch:
            self.single.interrupted(delivery, interrupt)

    def ended(self) -> None:
        raise AssertionError("the actor tells the behaviour of its single deliveries")
