"""Fetching: what is lent, on its way into mailboxes, as many as there is appetite for.

Units: seconds.
"""

import math
from collections.abc import Callable
from typing import Final

import anyio
import attrs

from postroom_actors import Port, Sleeper

from ..behaviour import SubscriptionBehaviour
from ..codec import UnreadableRecord, decode_event
from ..contract import Loan, Store
from ..errors import PostroomError
from ..event import Event
from ..loans import Grave, LentDelivery, LoanReceipt
from ..names import tokens_of_pattern
from ..outcomes import Failed
from ..routes import Routes
from .appetite import Appetite
from .persistence import Persistence
from .settling import Settler

LONGEST_SLEEP: Final = 3600.0


@attrs.define
class LostTooOften(PostroomError):
    """In `Failed`: the processes that had this delivery in hand have died, again and again. Its handler may be why."""

    subscription: str
    losses: int

    def __str__(self) -> str:
        return (
            f"{self.subscription!r} did not get to handle the event: {self.losses} processes that had it in hand have "
            "died or were taken for dead. Look for what kills them, then replay its dead letter."
        )


@attrs.define(eq=False)
class Fetcher:
    """The task that fetches.

    Attributes:
        hand_over: Puts a delivery into its mailbox.
        sated: Told of those that ask for nothing more, whatever there is, or since they leave.
        losses: After so many a delivery is given up on.
        served: Who is fetched for, by name.
        loans: What is held, by token: whose it is.
    """

    _store: Store
    _port: Port
    _persistence: Persistence
    _settler: Settler
    hand_over: Callable[[SubscriptionBehaviour, LentDelivery], None]
    losses: int
    sated: Callable[[SubscriptionBehaviour], None] = attrs.field(default=lambda behaviour: None, init=False)
    served: dict[str, SubscriptionBehaviour] = attrs.field(factory=dict, init=False)
    appetites: dict[str, Appetite] = attrs.field(factory=dict, init=False)
    loans: dict[int, str] = attrs.field(factory=dict, init=False)
    _accepted_meanwhile: set[tuple[str, str]] | None = attrs.field(default=None, init=False)  # while it fetches
    _just_brought: set[tuple[str, str]] = attrs.field(factory=set, init=False)
    _routes: Routes[str] | None = attrs.field(default=None, init=False)  # of those served; made when asked for
    _waiting: dict[int, float] = attrs.field(factory=dict, init=False)  # by token: when the next attempt begins
    _lost: bool = attrs.field(default=False, init=False)
    _some_leave: bool = attrs.field(default=False, init=False)
    _due_at: float = attrs.field(default=math.inf, init=False)
    _sleeper: Sleeper = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self._port.sleeper()

    def serve(self, behaviour: SubscriptionBehaviour) -> None:
        """Fetch for a subscription from now on."""
        subscriber = behaviour.subscriber
        each = 1 if subscriber.batch is None else subscriber.batch.size
        self.served[behaviour.name] = behaviour
        self.appetites[behaviour.name] = Appetite(subscriber.concurrency * each, subscriber.capacity)
        self._routes = None
        self.look()

    def leave(self, name: str) -> None:
        """Fetch for it no longer."""
        self.served.pop(name, None)
        self._routes = None

    def stop(self) -> None:
        """Fetch for nobody any longer."""
        self.served.clear()
        self._routes = None

    def expect(self, name: str | None = None) -> None:
        """There may be mail, for one of them or for all."""
        for each in self.appetites.values() if name is None else (self.appetites[name],):
            each.hungry = True
        self.look()

    def was_accepted(self, name: str, event: str) -> None:
        """An event was accepted for one of them: look for it, unless a fetch brings it or has brought it."""
        if self._accepted_meanwhile is not None:
            self._accepted_meanwhile.add((name, event))
        elif (name, event) not in self._just_brought:
            self.expect(name)

    def expect_for(self, event: str) -> None:
        """There will be mail for those who subscribe to events of this name: for the idle ones of them, look now."""
        routes = self._routes or self._route()
        names = routes.remembered.get(event)
        for name in routes.match(event) if names is None else names:
            appetite = self.appetites[name]
            if not appetite.held and not appetite.hungry:
                appetite.hungry = True
                self.look()

    def _route(self) -> Routes[str]:
        routes = self._routes = Routes()
        for name, behaviour in self.served.items():
            routes.add(tuple(map(tokens_of_pattern, behaviour.subscriber.patterns)), name)
        return routes

    def look(self) -> None:
        """See whether there is something to fetch."""
        self._sleeper.wake()

    def over(self, name: str, token: int) -> None:
        """A loan is held no more."""
        if self.loans.pop(token, None) is None:
            return
        appetite = self.appetites[name]
        if token in self._waiting:
            del self._waiting[token]
            appetite.held += 1
        appetite.gone()
        if appetite.hungry or (name in self.served and self.served[name].leaving is not None):
            self.look()

    def paused(self, name: str, token: int, due: float) -> None:
        """A loan waits for its next attempt, and takes no place from now on."""
        assert token in self.loans, "what was lost has no further attempt here"
        is_first = token not in self._waiting
        self._waiting[token] = due
        if is_first:
            self.appetites[name].gone()
            self.look()

    def lose_all(self) -> None:
        """The session was taken for dead. What it was lent since, before it heard of that, nobody here knows of."""
        self.loans.clear()
        self._waiting.clear()
        for appetite in self.appetites.values():
            appetite.held = 0
        self.lose_track()

    def lose_track(self) -> None:
        """Something may be lent to this session that nobody here knows of: have it taken back, and look anew."""
        self._lost = True
        self.expect()

    def is_sated(self, name: str) -> bool:
        """Whether nothing more is asked for before something of this subscription is held no more.

        Not where something waits for its next attempt, which takes no place meanwhile: time may change all that.
        """
        now = self._port.now()
        waiting = any(due > now and self.loans.get(token) == name for token, due in self._waiting.items())
        return self.appetites[name].is_sated and not waiting

    def settled(self) -> None:
        """All that was handed in is written: whoever waits for what is fetched no more may be told now."""
        if self._some_leave:
            self.look()

    @property
    def is_settling(self) -> bool:
        """Whether outcomes were handed in that the store has not yet."""
        return self._settler.unwritten > 0

    def demand(self) -> dict[str, int]:
        """What to ask for now."""
        demand: dict[str, int] = {}
        self._some_leave = False
        for name, behaviour in self.served.items():
            if behaviour.leaving is not None:
                self._some_leave = True
                self.sated(behaviour)
            elif behaviour.may_take():
                count = self.appetites[name].demand()
                if count:
                    demand[name] = count
                elif self.appetites[name].hungry:
                    self.sated(behaviour)
        return demand

    async def run(self) -> None:
        """Fetch what there is appetite for, for ever.

        Cancellation: what was lent meanwhile is taken back where it is called again, or by the end of the session.
        """
        while True:
            if self._port.now() >= self._due_at:
                self._due_at = math.inf
                self.expect()
            if self._lost:
                self._lost = False
                try:
                    await self._reclaim()
                except BaseException:
                    self._lost = True
                    raise
                continue  # it may have been lost once more
            demand = self.demand()
            if demand and not self._settler.is_behind:
                await self._fetch(demand)
            else:
                await self._sleep()

    async def _sleep(self) -> None:
        if self._due_at == math.inf:  # a scope costs as much as the sleep
            await self._sleeper.park()
            return
        with anyio.CancelScope(deadline=min(self._due_at, self._port.now() + LONGEST_SLEEP)):
            await self._sleeper.park()

    async def _reclaim(self) -> None:
        """Have the store take back what is not held here."""
        await self._persistence.until_done(
            "take deliveries back", lambda: self._store.reclaim([*self.loans, *self._settler.tokens])
        )

    async def _fetch(self, demand: dict[str, int]) -> None:
        failed = False
        meanwhile = self._accepted_meanwhile = set[tuple[str, str]]()
        for name in demand:
            self.appetites[name].hungry = False  # what comes meanwhile makes it hungry again

        async def fetch() -> list[Loan]:
            nonlocal failed
            if failed:  # what the last one has lent, if it has, nobody here knows of
                await self._reclaim()
            failed = True
            fetched = await self._store.fetch(demand)
            if fetched.next_due is not None:
                self._due_at = min(self._due_at, self._port.now() + fetched.next_due)
            return fetched.loans

        try:
            loans = await self._persistence.until_done("lend deliveries", fetch)
        except BaseException:
            self.lose_track()
            raise
        finally:
            self._accepted_meanwhile = None
        if self._lost:  # they may be those of before
            return
        self._just_brought = {(loan.subscription, loan.id) for loan in loans}
        for name in {name for name, _ in meanwhile - self._just_brought}:
            self.expect(name)
        came = dict.fromkeys(demand, 0)
        for loan in loans:
            came[loan.subscription] += 1
            self.loans[loan.token] = loan.subscription
        now = self._port.stopwatch()
        for name, asked in demand.items():
            heard = self.appetites[name].hungry
            self.appetites[name].came(asked, came[name], now)
            self.appetites[name].hungry |= heard
        for loan in loans:
            self._take(loan, now)

    def _take(self, loan: Loan, now: float) -> None:
        behaviour = self.served.get(loan.subscription)
        if behaviour is None or behaviour.leaving is not None:
            self._settler.give_back(loan.subscription, loan.token, loan.attempts)
            return
        try:
            event = decode_event(loan.body, loan.id, loan.accepted_at)
        except UnreadableRecord as error:
            event = Event("unreadable", None, id=loan.id, accepted_at=loan.accepted_at)
            self._give_up(behaviour, loan, event, error, str(error))
            return
        if loan.losses >= self.losses:
            lost = LostTooOften(behaviour.name, loan.losses)
            self._give_up(behaviour, loan, event, lost, f"lost {loan.losses} times with the process that had it")
            return
        receipt = LoanReceipt(event, (), subscription=behaviour.name, token=loan.token, desk=self._settler)
        delivery = LentDelivery(event, receipt, now - loan.age, losses=loan.losses, attempt=loan.attempts + 1)
        if event.expires_after is not None:
            delivery.expires_at = now + event.expires_after - loan.age - (event.delay or 0.0)
        self.hand_over(behaviour, delivery)

    def _give_up(
        self, behaviour: SubscriptionBehaviour, loan: Loan, event: Event, error: PostroomError, reason: str
    ) -> None:
        """Settle what no handler will see."""
        receipt = LoanReceipt(event, (), subscription=behaviour.name, token=loan.token, desk=self._settler)
        receipt.grave = Grave(reason, error, loan.attempts)
        behaviour.tally.accepted += 1
        behaviour.tally.failed += 1
        receipt.settle(Failed(behaviour.name, error, loan.attempts, 0.0))
