"""Putting subscribers to work while a runtime runs, and waiting until they have nothing to do."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import anyio.lowlevel
import attrs

from postroom_actors import Wait

from .behaviour import SubscriptionBehaviour
from .deadlock import END, check_here, waiting
from .errors import InvalidOption
from .seeing import Observable
from .settings import Role, check_suits
from .siblings import Siblings, declared
from .subscriber import Subscriber, SubscriberOptions
from .subscription import Subscription


@attrs.define(eq=False, repr=False)
class Spawner(Observable):
    """The part of a runtime that starts subscriptions."""

    role: Role = attrs.field(init=False)

    async def spawn(
        self,
        handler: Subscriber[..., Any] | Callable[..., Any],
        *arguments: Any,
        name: str | None = None,
        **options: Unpack[SubscriberOptions],
    ) -> Subscription:
        """Put one more subscriber to work: a `Subscriber`, a handler with patterns, or an `Actor` class.

        `arguments` are the patterns, or what an actor's constructor takes; keywords for that go into a
        `functools.partial`. The options are those of `Subscriber`; what is given here wins over what the subscriber
        declares. It gets the events accepted from now on.

        Raises:
            DuplicateSubscription: the name is taken.
            InvalidHandler, InvalidName, InvalidOption, RuntimeClosed, WrongThread: nothing was started.

        Cancellation: only before anything was started.
        """
        self._check_open("spawn")
        subscriber = declared(handler, arguments, name, options)
        await anyio.lowlevel.checkpoint()
        self._check_open("spawn")
        await self._bind([subscriber])
        return self._roster.start(subscriber)

    async def supervise(self, siblings: Siblings) -> tuple[Subscription, ...]:
        """Put siblings to work: actors that are restarted together.

        Returns:
            Their subscriptions, in the order of the members.

        Raises:
            DuplicateSubscription: a name is taken.
            InvalidOption, RuntimeClosed, WrongThread: nothing was started.

        Cancellation: only before anything was started.
        """
        self._check_open("supervise")
        if not isinstance(siblings, Siblings):
            raise InvalidOption("siblings", siblings, "must be Siblings([…], strategy=…)")
        await anyio.lowlevel.checkpoint()
        self._check_open("supervise")
        await self._bind(siblings.members)
        return tuple(self._roster.start_siblings(siblings))

    async def idle(self) -> None:
        """Wait until no delivery is pending, retries and delays included.

        With emitters at work that may never be, and in the next moment it may be over: it is meant for tests, and
        for programs that have emitted all that they will. On a durable module it waits for what the subscriptions that
        this runtime serves have in the store, in other processes too. A runtime that serves none, such as one with
        `role="emit"`, does not wait: await the receipts instead.

        Raises:
            WouldDeadlock: in a handler, whose own delivery is pending.
            RuntimeClosed, WrongThread, WrongBackend: it is not open here.

        Cancellation: changes nothing.
        """
        self._check_open("idle")
        check_here(self._kernel.port)
        await anyio.lowlevel.checkpoint()
        with waiting(self._kernel.port, self._wait_for_all):
            await self._wait_until_settled()
            while self._outbox is not None and await self._outbox.carrier.has_something_for(self._roster.behaviours):
                await self._outbox.carrier.wait_for_a_change()
                await self._wait_until_settled()

    def _wait_for_all(self) -> Wait:
        needs = lambda: [need for each in self._roster.behaviours.values() for need in each.needs_to_settle_all()]  # noqa: E731 - reads as what it is
        return Wait(END, "all that is pending", needs)

    async def _spawn_child(
        self, parent: SubscriptionBehaviour, handler: Any, arguments: tuple[Any, ...], name: str | None, options: Any
    ) -> Subscription:
        self._check_open("spawn")
        child = declared(handler, arguments, name, options)
        await anyio.lowlevel.checkpoint()
        self._check_open("spawn")
        child = attrs.evolve(child, name=f"{parent.name}.{child.name}")
        await self._bind([child])
        return self._roster.start_child(child, parent)

    async def _bind(self, subscribers: Sequence[Subscriber[..., Any]]) -> None:
        """Register subscriptions in the store, where there is one.

        Raises:
            Unsupported: the event module does not promise what one of them asks for.
        """
        for each in subscribers:
            check_suits(self._module, each)
        if self._outbox is not None:
            if self.role == "emit":
                raise InvalidOption("role", "emit", "handles nothing: give the runtime its subscribers when it is made")
            await self._outbox.carrier.bind(subscribers, serve=True)
            self._check_open("spawn")

    async def _wait_until_settled(self) -> None:
        # One subscription after the other, and again: handlers emit to each other meanwhile.
        while busy := [each for each in self._roster.behaviours.values() if each.tally.pending]:
            for behaviour in busy:
                await behaviour.wait_until_settled()
