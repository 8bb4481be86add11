"""The part of a runtime that knows of the store, where its event module has one."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random

import attrs

from .behaviour import SubscriptionBehaviour
from .capabilities import Capability, check_capability
from .carrying import Carrier, Outbox, StoredGroups, StoredLetters, StoredReceipt, open_carrier
from .contract import StoredSubscription
from .deadlock import check_here
from .errors import UnknownSubscription
from .loans import LentDelivery
from .local import Local
from .services import Services
from .siblings import AnySubscriber, Siblings, members_of
from .spawning import Spawner
from .store_errors import StillServed


@attrs.define(eq=False, repr=False)
class Carried(Spawner):
    """Opens the session, and ties it to the subscriptions."""

    subscribers: "tuple[AnySubscriber | Siblings, ...]" = attrs.field(default=(), init=False)
    losses: int = attrs.field(init=False)
    _random: Random = attrs.field(init=False)
    _services: Services = attrs.field(init=False)

    async def _open_store(self, stack: AsyncExitStack) -> None:
        """Begin a session on the store, where the module has one."""
        if isinstance(self._module, Local):
            return
        carrier = await stack.enter_async_context(
            open_carrier(
                self._module,
                f"session-{self._ids()}",
                random=self._random,
                log=self._log,
                losses=self.losses,
                hand_over=self._hand_over,
                recorded=self._record,
                lost=self._lose_loans,
            )
        )
        groups = StoredGroups(carrier)
        carrier.staged_heard = groups.heard
        self.dead_letters.store = StoredLetters(carrier)
        self._outbox = Outbox(self._module, carrier, groups, self.role == "handle")

    async def _begin(self) -> None:
        """Register what there is in the store, and only then let it be fetched for."""
        if self._outbox is None:
            return
        carrier, members = self._outbox.carrier, members_of(self.subscribers)
        await carrier.bind(members, serve=self.role != "emit")
        if not members:  # or it would hear of that as all others do
            await carrier.learn()
        for behaviour in self._roster.behaviours.values():
            self._outbox.carrier.fetcher.serve(behaviour)
        self._around.serve = self._outbox.carrier.fetcher.serve

    async def stored_subscriptions(self) -> tuple[StoredSubscription, ...]:
        """The subscriptions that are registered in the store, by name, with what waits for each and who serves it.

        Raises:
            Unsupported: the event module has no store.
            RuntimeClosed, WrongThread, WrongBackend: it is not open here.
            StoreBroken: the store can't be asked.

        Cancellation: changes nothing.
        """
        return tuple(await self._store("stored_subscriptions").listing())

    async def remove_subscription(self, name: str) -> int:
        """Forget a subscription that nobody serves any more; what waits for it ends as `Cancelled`.

        Returns:
            How many deliveries that were.

        Raises:
            UnknownSubscription: none of this name is registered.
            StillServed: a process serves it; stop it there first.
            Exception: as `stored_subscriptions`.

        Cancellation: it was removed or not.
        """
        carrier = self._store("remove_subscription")
        found = [each for each in await carrier.listing() if each.name == name]
        if not found:
            raise UnknownSubscription(name, stored=True)
        if found[0].served_by:
            raise StillServed(name)
        return await carrier.ask("remove a subscription", lambda: carrier.store.remove(name))

    async def pause_subscription(self, name: str) -> None:
        """Lend nothing of a stored subscription to any process until `resume_subscription`; what is in hand goes on.

        Raises:
            UnknownSubscription: none of this name is registered.
            Exception: as `stored_subscriptions`.

        Cancellation: it was done or not.
        """
        await self._pause_stored(name, True, "pause_subscription")

    async def resume_subscription(self, name: str) -> None:
        """Undo `pause_subscription`, or a `Subscription.pause` in any process; does nothing where it isn't paused.

        Raises:
            UnknownSubscription: none of this name is registered.
            Exception: as `stored_subscriptions`.

        Cancellation: it was done or not.
        """
        await self._pause_stored(name, False, "resume_subscription")

    async def _pause_stored(self, name: str, paused: bool, call: str) -> None:
        carrier = self._store(call)
        if not any(each.name == name for each in await carrier.listing()):
            raise UnknownSubscription(name, stored=True)
        await carrier.pause(name, paused)

    def _store(self, call: str) -> Carrier:
        self._check_open(call)
        check_here(self._kernel.port)
        if self._outbox is None:
            check_capability(self._module.name, self._module.capabilities, Capability.DURABLE, f"`{call}`")
        assert self._outbox is not None, "as just checked"
        return self._outbox.carrier

    def _hand_over(self, behaviour: SubscriptionBehaviour, delivery: LentDelivery) -> None:
        self._dispatcher.hand_over(behaviour, delivery)

    def _record(self, receipts: Sequence[StoredReceipt], emitters: Sequence[str | None]) -> None:
        self._dispatcher.accepted += len(receipts)
        self._dispatcher.unrouted += sum(not receipt.targets for receipt in receipts)
        for recording in self._recordings:
            for receipt, emitter in zip(receipts, emitters, strict=True):
                recording.take(receipt, self._kernel.port.now, emitter)

    def _lose_loans(self) -> tuple[int, int]:
        self._dispatcher.catch_up()  # a retry that was due may be on its way
        lost = [behaviour.lose_loans() for behaviour in self._roster.behaviours.values()]
        return sum(in_hand for in_hand, _ in lost), sum(waiting for _, waiting in lost)
