"""The receipt of an event that a store keeps: its outcomes come from whichever process has handled it."""

import weakref
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import attrs

from postroom_actors import Admission, Every, Need, Port, Wait, current_hand

from ..deadlock import ANSWER, LateWait, check_here, own_hand
from ..errors import PostroomError, RuntimeClosed
from ..event import Event
from ..outcomes import Outcome, Report
from ..receipt import Receipt


@attrs.frozen(eq=False)
class StoredTarget:
    """A subscription that gets an event out of a store; it may be served by this process, by others, or by none.

    Attributes:
        need: Who must move before a delivery settles; nobody, where another process may handle it.
    """

    name: str
    port: Port = attrs.field(repr=False)
    need: Callable[[str, Receipt], Need] = attrs.field(repr=False)

    def needs_to_admit(self, admission: Admission) -> Sequence[Need]:
        raise AssertionError("a store says itself where there is no room")

    def need_to_settle(self, receipt: Receipt) -> Need:
        return self.need(self.name, receipt)


NOBODY: Every = Every(())


class _Somebody:
    """Who waits for a receipt, which wakes them: they need not be woken by what they have sent."""

    def wake(self) -> None:
        pass


_SOMEBODY: Final = _Somebody()

FEWEST_SWEPT: Final = 1000
"""Receipts below which nobody looks for those that are gone."""


class StoredReceipt(Receipt, eq=False, kw_only=True, weakref=True):
    """What an emit returns on a durable module; as any receipt, but for what an end of the runtime does to it.

    Attributes:
        port, is_accepted, refusal, ended, first: The runtime's own.
    """

    port: Port
    is_accepted: bool = False
    refusal: PostroomError | None = None
    ended: PostroomError | None = None
    first: "StoredReceipt | None" = None

    @property
    def pending(self) -> int:
        """Subscriptions that have not settled yet; 1 while it is open who they will be."""
        if self.refusal is not None or self.end is not None:
            return 0
        if not self.is_accepted:
            return 1
        return len(self.targets) - (0 if self.outcomes is None else len(self.outcomes))

    def report(self) -> Report:
        """The outcomes so far.

        Raises:
            RuntimeClosed: the runtime has closed while deliveries were stored; they will be handled, here or elsewhere.
            UnknownResult: the store was emptied, or had forgotten this process: nobody can tell what became of it.
        """
        if self.refusal is not None:
            raise self.refusal
        if (end := self.end) is not None:
            raise end
        return Report(self.event, tuple(self.outcomes or ()))

    async def admitted(self) -> None:
        """The runtime's own: wait until the store has taken the event.

        Cancellation: an event that was not on its way into the store yet is taken back; any other is stored, or not.
        """
        if self.admission is not None and self.admission.waiting:
            await self.admission.wait()
        self.check_accepted()

    async def wait_from_the_start(self) -> Report:
        """The runtime's own: as `admitted`, then `wait`, which only in a handler are two waits.

        Cancellation: as `admitted`.
        """
        if current_hand() is not None:
            return await Receipt.wait_from_the_start(self)
        check_here(self.port)
        entrance = self.admission
        assert entrance is not None, "asked where there is one"
        entrance.attend(_SOMEBODY)
        try:
            while self.pending:
                await Receipt._park(self, self.port)
        finally:
            entrance.leave(_SOMEBODY)
        return self.report()

    def check_accepted(self) -> None:
        """The runtime's own: raises what the store refused it with."""
        if self.refusal is not None:
            raise self.refusal

    def accept(self, event: Event, targets: tuple[StoredTarget, ...]) -> None:
        """The runtime's own: it is stored."""
        self.event, self.targets, self.is_accepted = event, targets, True
        if not targets:
            self._wake_all()

    def refuse(self, error: PostroomError) -> None:
        """The runtime's own: it is not stored."""
        self.refusal = error
        self._wake_all()

    @property
    def end(self) -> PostroomError | None:
        """The runtime's own: why nothing more will be heard of it."""
        return self.ended if self.first is None else self.first.ended

    def share(self, first: "StoredReceipt") -> None:
        """The runtime's own: it is the same event as that of an earlier receipt, and hears what that one hears."""
        first.tell_each()
        first.outcomes = [] if first.outcomes is None else first.outcomes
        early = self.waiters or ()
        self.first, self.outcomes, self.waiters = first, first.outcomes, first.waiters
        for waiter in early:  # who waits since before it was stored
            self.wake_later(waiter)
            waiter.wake()

    def close(self) -> None:
        """The runtime's own: nothing more will be heard of it."""
        self.give_up(RuntimeClosed("closed, and deliveries of this event are still stored"))

    def give_up(self, error: PostroomError) -> None:
        """The runtime's own: nothing more will be heard of it, for this reason."""
        if self.pending:
            self.ended = error
            self._wake_all()

    def settle(self, outcome: Outcome) -> None:
        """The runtime's own: one more subscription has settled; telling it twice is fine."""
        if self.has(outcome.subscription):
            return
        if any(target.name == outcome.subscription for target in self.targets):
            Receipt.settle(self, outcome)

    def is_of(self, event: Event) -> bool:
        """The runtime's own: whether it hears of this event, not of an earlier one whose id was forgotten since."""
        return self.end is None and self.event.accepted_at == event.accepted_at

    def has(self, subscription: str) -> bool:
        """The runtime's own: whether the outcome of a subscription is known."""
        return any(each.subscription == subscription for each in self.outcomes or ())

    def _wake_all(self) -> None:
        for waiter in tuple(self.waiters or ()):
            waiter.wake()

    def _loop(self) -> Port:
        return self.port

    async def _park(self, port: Port) -> None:
        hand = own_hand(port)
        wait = None if hand is None else hand.wait
        self._check_still(wait)
        await Receipt._park(self, port)
        self._check_still(wait)

    def _check_still(self, wait: Wait | None) -> None:
        """Raises WouldDeadlock where a wait that has begun would never end any more."""
        if (
            isinstance(wait, LateWait)
            and wait.refusals
            and self.pending
            and not (wait.kind == ANSWER and self._answered)
        ):
            raise wait.refusals[0]

    def wait_for(self, kind: str) -> Wait:
        """The runtime's own: as the wait-for graph sees it; while the store is asked, nobody has to move."""
        if not self.is_accepted:
            return Wait(kind, f"the acceptance of {self.event.name}", tuple)
        return LateWait.of(Receipt.wait_for(self, kind), self._wake_all)


K = TypeVar("K")


@attrs.define(eq=False)
class Held(Generic[K]):
    """Receipts by what they are for, as long as somebody holds them.

    As a `WeakValueDictionary`, at a third of its cost: nothing is told when a receipt goes, so now and then, once as
    many have come as were left, those that are gone are looked for.

    Attributes:
        refs: Some may be of receipts that are gone.
    """

    refs: dict[K, "weakref.ref[StoredReceipt]"] = attrs.field(factory=dict, init=False)
    _sweep_at: int = attrs.field(default=FEWEST_SWEPT, init=False)

    def get(self, key: K) -> StoredReceipt | None:
        """One of them."""
        found = self.refs.get(key)
        return None if found is None else found()

    def add(self, key: K, receipt: StoredReceipt) -> None:
        """One more, or another one in its place."""
        self.refs[key] = weakref.ref(receipt)
        if len(self.refs) >= self._sweep_at:
            self._sweep()

    def first(self, key: K, receipt: StoredReceipt) -> StoredReceipt:
        """The one that there is; else this one, which is there from now on."""
        own = weakref.ref(receipt)
        found = self.refs.setdefault(key, own)
        if found is not own:
            first = found()
            if first is not None:
                return first
            self.refs[key] = own
        if len(self.refs) >= self._sweep_at:
            self._sweep()
        return receipt

    def _sweep(self) -> None:
        self.refs = {key: ref for key, ref in self.refs.items() if ref() is not None}
        self._sweep_at = max(FEWEST_SWEPT, 2 * len(self.refs))

    def all(self) -> list[StoredReceipt]:
        """All that somebody holds."""
        return [receipt for ref in self.refs.values() if (receipt := ref()) is not None]


@attrs.define(eq=False)
class Receipts:
    """The receipts that somebody still holds.

    Attributes:
        firsts: Those of emits, by event.
        replays: The last one of each dead letter that was replayed, by event and subscription.
    """

    firsts: Held[str] = attrs.field(factory=lambda: Held[str](), init=False)
    replays: Held[tuple[str, str]] = attrs.field(factory=lambda: Held[tuple[str, str]](), init=False)

    def waiting(self, event: str, subscription: str) -> StoredReceipt | None:
        """The one that an outcome is for: the emit's until it has it, then that of the last replay."""
        first = self.firsts.get(event)
        if not self.replays.refs or (first is not None and not first.has(subscription)):
            return first
        return self.replays.get((event, subscription)) or first

    def all(self) -> tuple[StoredReceipt, ...]:
        """All of them."""
        return (*self.firsts.all(), *self.replays.all())

    def forgotten(self, before: float, error: PostroomError) -> None:
        """Nothing more will be heard of what was accepted before this time of the store's."""
        for receipt in self.all():
            if receipt.is_accepted and (receipt.event.accepted_at or 0.0) < before:
                receipt.give_up(error)
