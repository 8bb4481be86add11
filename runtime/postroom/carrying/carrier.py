"""The carrier: what ties a runtime to its session on a store.

Four tasks, owned by `open_carrier`: one publishes, one fetches, one settles, one listens for news. They outlive the
actors, so that what these hand in at their end still gets into the store.

Units: seconds.
"""

import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress
from typing import Any, Final, TypeVar

import anyio
import attrs
import msgspec

from postroom_actors import Port

from ..behaviour import SubscriptionBehaviour
from ..codec import UnreadableRecord, decode_event, decode_outcome
from ..contract import News, Notice, Published, Store, StoredEvent, StoredSubscription
from ..deadlock import own_hand
from ..errors import RuntimeClosed
from ..event import Event
from ..loans import LentDelivery
from ..log import LEASE_LOST, REFUSED, Log
from ..outcomes import Outcome
from ..recordings import emitters_of
from ..store_errors import UnknownResult
from ..subscriber import Subscriber
from .company import Company
from .errands import Submission
from .fetching import Fetcher
from .persistence import Asking, Persistence
from .publishing import Publisher
from .receipts import Receipts, StoredReceipt, StoredTarget
from .settling import Settler
from .storing import binding_of, stored_event

T = TypeVar("T")

LOOK_EVERY: Final = 0.1
"""How often `idle` looks at what other processes have in hand."""


@attrs.define(eq=False)
class Carrier:
    """One runtime's session on a store.

    Attributes:
        store: The session on it.
        session: Its name.
        recorded: Told of receipts whose events were accepted now, and of the subscriptions that have emitted them.
        lost: Told that the session was taken for dead; says how many deliveries were in hand, how many waited.
        run_heard, runs_mail, runs_lost: Told of runs: one was written to or is over; some may wait; all are lost.
        staged_heard: Told of what became of something staged; whether that was staged here.
        company: The other processes.
    """

    store: Store
    module: str
    port: Port
    losses: int
    _log: Log
    _persistence: Persistence
    hand_over: Callable[[SubscriptionBehaviour, LentDelivery], None]
    recorded: Callable[[Sequence[StoredReceipt], Sequence[str | None]], None]
    lost: Callable[[], tuple[int, int]]
    staged_heard: Callable[[Notice], bool] = attrs.field(default=lambda notice: False, init=False)
    run_heard: Callable[[str], None] = attrs.field(default=lambda run: None, init=False)
    runs_mail: Callable[[], None] = attrs.field(default=lambda: None, init=False)
    runs_lost: Callable[[], None] = attrs.field(default=lambda: None, init=False)
    publisher: Publisher = attrs.field(init=False)
    settler: Settler = attrs.field(init=False)
    fetcher: Fetcher = attrs.field(init=False)
    company: Company = attrs.field(init=False)
    refused: int = attrs.field(default=0, init=False)
    _stirred: anyio.Event | None = attrs.field(default=None, init=False)  # where somebody waits for any change
    session: str = attrs.field(kw_only=True)
    _life: int = attrs.field(default=0, init=False)
    _registry: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)
    _asking: Asking = attrs.field(init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _early: list[Callable[[], object]] = attrs.field(factory=list, init=False)
    _seen: int = attrs.field(default=0, init=False)  # the last of the news that were taken up
    _unheard: bool = attrs.field(default=False, init=False)  # the last of them may have been told to nobody
    _is_lost: bool = attrs.field(default=False, init=False)  # and nothing has begun anew yet
    _targets: dict[str, StoredTarget] = attrs.field(factory=dict, init=False)
    _last_targets: tuple[tuple[str, ...], tuple[StoredTarget, ...]] = attrs.field(default=((), ()), init=False)
    _receipts: Receipts = attrs.field(factory=Receipts, init=False)

    def __attrs_post_init__(self) -> None:
        self._asking = Asking(self.port, self._persistence)
        self.publisher = Publisher(
            self.store,
            self.port,
            self._persistence,
            self._sending,
            self.accepted,
            lambda name: self.company.room_in(name),
            lambda name: self.company.patterns_of(name),
            self._answered,
        )
        self.settler = Settler(
            self.store,
            self.port,
            self._persistence,
            self._confirmed,
            self._refused,
            lambda name, token: self.fetcher.over(name, token),
            lambda name, token, due: self.fetcher.paused(name, token, due),
            lambda: self.fetcher.look(),
            lambda: self.fetcher.settled(),
        )
        self.fetcher = Fetcher(self.store, self.port, self._persistence, self.settler, self.hand_over, self.losses)
        self.company = Company(self.session, self.fetcher)
        self.fetcher.sated = self.company.look_at

    # Emitting

    def submit(self, events: Sequence[tuple[Event, Event | None]], require: bool = False) -> list[StoredReceipt]:
        """Send events to the store, all together; never waits.

        Args:
            events: Each as it is to be accepted; and as its user gave it, where the user chose its id.

        Returns:
            Their receipts, each of which says how to wait until the store has them.

        Raises:
            NotPortable, BackoffNotPortable: one of them can't be stored; nothing was sent.
        """
        stored = [stored_event(event, given, require) for event, given in events]
        submission = Submission(self.port, own_hand(self.port), events=stored)
        submission.emitters = emitters_of([event for event, _ in events])
        submission.receipts = [self.receipt_of(event, submission) for event, _ in events]
        self.publisher.send(submission)
        return list(submission.receipts)

    def receipt_of(self, event: Event, entrance: Any = None) -> StoredReceipt:
        """A receipt of an event that is on its way into the store."""
        return StoredReceipt(event, (), entrance, port=self.port)

    def adopt(self, receipt: StoredReceipt, published: Published) -> None:
        """An event was accepted: its receipt hears of outcomes from now on."""
        event = receipt.event
        if published.body is not None:
            event = decode_event(published.body, event.id, published.accepted_at)
        if event.accepted_at != published.accepted_at:
            event = msgspec.structs.replace(event, accepted_at=published.accepted_at)
        receipt.accept(event, self._targets_of(published))
        first = self._receipts.firsts.first(event.id, receipt)
        if first is not receipt:
            if first.is_of(event):
                receipt.share(first)
            else:
                self._receipts.firsts.add(event.id, receipt)
        if published.outcomes:
            for encoded in published.outcomes.values():
                self._tell(event.id, encoded)

    def adopt_replay(self, event: Event, published: Published) -> StoredReceipt:
        """A dead letter is delivered once more: a receipt for that delivery, apart from those of the first one.

        Its event is the same, so what is heard of it goes to those first, as long as they wait for it.
        """
        receipt = self.receipt_of(event)
        receipt.accept(event, self._targets_of(published))
        for name in published.targets:
            self._receipts.replays.add((event.id, name), receipt)
            if name in self.fetcher.served:
                self.fetcher.expect(name)
        self.recorded([receipt], [None])
        return receipt

    def _sending(self, events: Iterable[StoredEvent]) -> None:
        """Events are on their way into the store: ask for them right behind, in the same trip where there is one.

        Only for those who have nothing to do meanwhile: it is for them that a trip less is worth a look in vain.
        """
        if self.fetcher.served:
            for name in dict.fromkeys(event.name for event in events if not event.delay):
                self.fetcher.expect_for(name)

    def accepted(
        self, receipts: Sequence[StoredReceipt], answer: Sequence[Published], emitters: Sequence[str | None]
    ) -> None:
        """The store has accepted events, which `emitters` have emitted; some of them may have been accepted before."""
        served = self.fetcher.served
        are_new = True
        for receipt, published in zip(receipts, answer, strict=True):
            self.adopt(receipt, published)
            if published.body is not None:
                are_new = False
            if served:
                for name in published.targets:
                    if name in served:
                        self.fetcher.was_accepted(name, receipt.id)
        if not are_new:
            new = [published.body is None for published in answer]
            receipts, emitters = list(compress(receipts, new)), list(compress(emitters, new))
        self.recorded(receipts, emitters)

    def _targets_of(self, published: Published) -> tuple[StoredTarget, ...]:
        names = published.targets
        if names != self._last_targets[0]:  # what was published together mostly goes to the same
            self._last_targets = (names, tuple(map(self._target, names)))
        return self._last_targets[1]

    def _target(self, name: str) -> StoredTarget:
        target = self._targets.get(name)
        if target is None:
            target = self._targets[name] = StoredTarget(name, self.port, self.company.need)
        return target

    # What comes back

    def _confirmed(self, event: str, outcome: Outcome) -> None:
        receipt = self._receipts.waiting(event, outcome.subscription)
        if receipt is not None:
            receipt.settle(outcome)
        elif self.publisher.is_asking:
            self._early.append(lambda: self._confirmed(event, outcome))
        self._stir()

    def _refused(self, subscription: str) -> None:
        self.refused += 1
        self._log.write(REFUSED, subscription)
        self._stir()

    def _tell(self, event: str, encoded: bytes) -> bool:
        if self._receipts.firsts.get(event) is None and not self._receipts.replays.refs:
            return False
        try:
            outcome = decode_outcome(encoded)
        except UnreadableRecord as error:
            self._log.write(REFUSED, str(error))
            return True
        receipt = self._receipts.waiting(event, outcome.subscription)
        if receipt is not None:
            receipt.settle(outcome)
        return receipt is not None

    def _stir(self) -> None:
        if self._stirred is not None:  # few ever wait for it, and this is called for every outcome
            self._stirred.set()
            self._stirred = None

    async def listen(self) -> None:
        """Take up the store's news, for ever.

        Cancellation: what was not taken up is told again, where it is called again.
        """
        while True:
            news = await self._persistence.until_done("tell its news", self._ask_for_news)
            await self._heard(news)
            self._seen, self._unheard = news.number, False

    async def _ask_for_news(self) -> News:
        if self._unheard:  # what the last call would have told, all but the notices, may have been told to nobody
            await self._heard(News(self._seen, mail=True, room=True, routes=True))
        self._unheard = True
        return await self.store.news(self._seen)

    async def _heard(self, news: News) -> None:
        if news.forgotten:
            self._receipts.forgotten(news.forgotten, UnknownResult(self.module, "say what became of an event"))
        self._is_lost = self._is_lost or news.lost
        if self._is_lost:
            await self._begin_anew()
            self._is_lost = False
        for notice in news.notices:
            if not self._noticed(notice) and self.publisher.is_asking:
                self._early.append(partial(self._noticed, notice))
        if news.room or news.routes:
            self.publisher.try_again()
        if news.mail:
            self.fetcher.expect()
            self.runs_mail()
        if news.routes:  # last, since it waits
            await self.learn()
        self._stir()

    def _noticed(self, notice: Notice) -> bool:
        """Take up a notice; whether anybody here waits for such."""
        if notice.run:
            self.run_heard(notice.run)
            return True
        if notice.published is not None or notice.cleared:
            return self.staged_heard(notice)
        return self._tell(notice.event, notice.outcome)

    def _answered(self) -> None:
        """The store has answered the publisher: whose outcomes came before the answer is known now."""
        early, self._early = self._early, []
        for take_up in early:
            take_up()

    async def _begin_anew(self) -> None:
        """The session was taken for dead: drop what it had, and register again."""
        self._life += 1
        self.settler.forget()
        in_hand, waiting = self.lost()
        self.runs_lost()
        self.fetcher.lose_all()
        self._log.write(LEASE_LOST, in_hand, waiting)
        await self.bind([each.subscriber for each in self.fetcher.served.values()], serve=True)
        self.fetcher.expect()  # nobody has told it of mail meanwhile

    # The life of subscriptions

    def ask(self, what: str, ask: Callable[[], Awaitable[T]], patience: float = math.inf) -> Awaitable[T]:
        """As `Asking.until_done`."""
        return self._asking.until_done(what, ask, patience)

    async def listing(self) -> Sequence[StoredSubscription]:
        """What is registered in the store.

        Cancellation: changes nothing.
        """
        return await self.ask("list its subscriptions", self.store.subscriptions)

    async def learn(self) -> None:
        """See who subscribes to what, and who serves it.

        Cancellation: changes nothing.
        """
        self.company.learn(await self.listing())

    async def bind(self, subscribers: Sequence[Subscriber[..., Any]], *, serve: bool) -> None:
        """Register subscriptions in the store.

        Cancellation: they are registered or not.
        """
        if subscribers:
            bindings = list(map(binding_of, subscribers))
            async with self._registry:
                life = None
                while life != self._life:  # lost meanwhile, and nobody else registers what is not served yet
                    life = self._life
                    await self.ask("register subscriptions", lambda: self.store.bind(bindings, serve=serve))

    async def leave(self, behaviour: SubscriptionBehaviour) -> None:
        """Serve a subscription no longer; unless another one has its name by now, which is served.

        Cancellation: that is so, here; the store learns of it by the end of the session.
        """
        name = behaviour.name
        if self.fetcher.served.get(name) is behaviour:
            self.fetcher.leave(name)
        async with self._registry:  # no call to leave may arrive after one to register anew
            if name not in self.fetcher.served and not self._closed:
                with suppress(RuntimeClosed):
                    await self.ask("take a subscription back", lambda: self.store.leave([name]))

    async def pause(self, name: str, paused: bool) -> None:
        """Pause a subscription in all processes, or resume it.

        Cancellation: it was done or not.
        """
        await self.ask("pause a subscription", lambda: self.store.pause(name, paused))

    async def has_something_for(self, names: Collection[str]) -> bool:
        """Whether the store has deliveries of some subscriptions, wherever they are, or something on its way.

        Cancellation: changes nothing.
        """
        if self.settler.unwritten or self.publisher.queue:
            return True
        return any(each.waiting + each.delayed + each.lent for each in await self.listing() if each.name in names)

    async def wait_for_a_change(self) -> None:
        """Wait until something has happened here, or a moment in which it may have elsewhere.

        Cancellation: changes nothing.
        """
        if self._stirred is None:
            self._stirred = anyio.Event()
        with anyio.move_on_after(LOOK_EVERY):
            await self._stirred.wait()

    def close(self) -> None:
        """The runtime has ended: nothing more will be heard."""
        self._closed = True
        self._asking.close()
        self.publisher.close()
        for receipt in self._receipts.all():
            receipt.close()

    async def flush(self) -> None:
        """Let the store take what was handed in, for a bounded time.

        Cancellation: what is left comes back by the end of the session.
        """
        while self.settler.unwritten:
            await self.settler.write()
