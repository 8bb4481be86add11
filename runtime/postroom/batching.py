"""A subscription whose handler takes several events at once: each delivery still settles by itself."""

from collections.abc import Awaitable, Callable

import attrs

from postroom_actors import Actor, Admission, BatchActor

from .batch import BatchFailure
from .behaviour import SubscriptionBehaviour
from .calls import call_of
from .context import Context
from .delivery import Delivery
from .errors import HandlerAborted
from .event import Event


@attrs.define(eq=False)
class BatchingBehaviour(SubscriptionBehaviour):
    """The deliveries of a subscription with `batch=`."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        assert isinstance(self.actor, BatchActor), "hired below"
        handler = self.subscriber.handler
        call: Callable[[list[Delivery]], Awaitable[object]] = call_of(
            handler,
            lambda batch: handler(_events(batch)),
            lambda batch: handler(_events(batch), self._context_of(batch)),
            self.around.threads,
        )
        self.actor.batches = _Batches(self, self._in_time(self._with_copies_of_all(call)))

    def _with_copies_of_all(
        self, call: Callable[[list[Delivery]], Awaitable[object]]
    ) -> Callable[[list[Delivery]], Awaitable[object]]:
        copy = self.around.copy
        return call if copy is None else lambda batch: call([copy(delivery) for delivery in batch])

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

    def _context_of(self, batch: list[Delivery]) -> Context:
        # What the handler emits continues the longest chain of causes, so that no loop hides in batches.
        return self.around.context(max(batch, key=lambda delivery: delivery.event.depth), self.name)


def _events(batch: list[Delivery]) -> list[Event]:
    return [delivery.event for delivery in batch]


@attrs.define(eq=False)
class _Batches:
    """What an actor does with a batch: time is shared out evenly, and each delivery goes its own way."""

    single: SubscriptionBehaviour
    receive: Callable[[list[Delivery]], Awaitable[object]]

    def succeeded(self, batch: list[Delivery], result: object, started: float, ended: float) -> None:
        ended = started + (ended - started) / len(batch)
        for delivery in batch:
            self.single.succeeded(delivery, result, started, ended)

    def failed(self, batch: list[Delivery], error: BaseException, started: float, ended: float) -> Admission | None:
        ended = started + (ended - started) / len(batch)
        failures = self._failures(batch, error)
        room: Admission | None = None
        for delivery in batch:
            failure = failures.get(delivery.event.id)
            if failure is None:
                self.single.succeeded(delivery, None, started, ended)
            else:  # lines are first come, first served: who has the last one's room has them all
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
