"""The part of a runtime that knows of the store, where its event module has one."""

from contextlib import AsyncExitStack
from random import Random

import attrs

from .behaviour import SubscriptionBehaviour
from .carrying import Outbox, StoredGroups, StoredLetters, StoredReceipt, open_carrier
from .loans import LentDelivery
from .local import Local
from .settings import Role
from .siblings import AnySubscriber, Siblings, members_of
from .spawning import Spawner


@attrs.define(eq=False)
class Carried(Spawner):
    """Opens the session, and ties it to the subscriptions."""

    subscribers: "tuple[AnySubscriber | Siblings, ...]" = attrs.field(default=(), init=False)
    losses: int = attrs.field(init=False)
    role: Role = attrs.field(init=False)
    _random: Random = attrs.field(init=False)

    async def _open_store(self, stack: AsyncExitStack) -> None:
        """Begin a session on the store, where the module has one."""
        if isinstance(self._module, Local):
            return
        carrier = await stack.enter_async_context(
            open_carrier(
                self._module,
                self._ids(),
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
        await self._outbox.carrier.bind(members_of(self.subscribers), serve=self.role != "emit")
        for behaviour in self._roster.behaviours.values():
            self._outbox.carrier.fetcher.serve(behaviour)
        self._around.serve = self._outbox.carrier.fetcher.serve

    def _hand_over(self, behaviour: SubscriptionBehaviour, delivery: LentDelivery) -> None:
        self._dispatcher.hand_over(behaviour, delivery)

    def _record(self, receipt: StoredReceipt) -> None:
        self._dispatcher.accepted += 1
        self._dispatcher.unrouted += not receipt.targets
        for recording in self._recordings:
            recording.take(receipt, self._kernel.port.now)

    def _lose_loans(self) -> tuple[int, int]:
        lost = [behaviour.lose_loans() for behaviour in self._roster.behaviours.values()]
        return sum(in_hand for in_hand, _ in lost), sum(waiting for _, waiting in lost)
