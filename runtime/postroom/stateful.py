"""A subscription with state: one instance of the user's class after the other, all with the same mailbox."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs

from postroom_actors import Actor as KernelActor
from postroom_actors import LivingActor, Moment, Phase, Verdict, interrupt_of, judge

from .actor import Actor, bind, class_of, methods_of
from .behaviour import SubscriptionBehaviour
from .delivery import Delivery
from .loans import is_lost
from .options import EmitOptions
from .reading import reader_of_handler
from .receipt import Receipt
from .supervisor import Supervisor


@attrs.define(eq=False)
class StatefulBehaviour(SubscriptionBehaviour):
    """The deliveries of a class of actors."""

    calls: dict[str, Callable[[Delivery], Awaitable[object]]] = attrs.field(factory=dict, init=False)
    factory: Callable[..., Any] = attrs.field(init=False)

    def _hire(self) -> KernelActor[Delivery]:
        actor: LivingActor[Delivery] = LivingActor(
            self.name,
            self.mailbox,
            self,  # pyright: ignore[reportArgumentType] - it takes the field `receive` for a method
        )
        self.factory = self.subscriber.handler
        assert self.supervisor is not None, "whoever has state has a supervisor"
        actor.lives = InstanceLives(self, actor, self.supervisor)
        return actor

    def _single_call(self) -> Callable[[Delivery], Awaitable[object]]:
        kind = class_of(self.subscriber.handler)
        assert kind is not None, "the caller chooses the class by it"
        choose, calls = methods_of(kind).choose, self.calls
        return lambda delivery: calls[choose(delivery.event.name)](delivery)

    def take_over(self, handler: Any) -> None:
        self.factory = handler

    def use(self, instance: Actor) -> None:
        """Let the methods of `instance` handle what comes."""
        for method in methods_of(type(instance)).names:
            handler = getattr(instance, method)
            self.calls[method] = self.call_of(handler, reader_of_handler(handler, self.name))

    def cancelled(self, delivery: Delivery, started: float, ended: float) -> None:
        if is_lost(delivery):
            SubscriptionBehaviour.cancelled(self, delivery, started, ended)
        elif self.leaving is None or (self.actor.renewing and not self.actor.closed):  # type: ignore[attr-defined]
            self.mailbox.hand_back(delivery)  # its instance went, not its subscription: no attempt is spent
        else:
            SubscriptionBehaviour.cancelled(self, delivery, started, ended)

    def end_hands(self) -> None:
        self.renew()

    def renew(self) -> None:
        assert isinstance(self.actor, LivingActor), "hired above"
        self.actor.renew()

    def release(self) -> None:
        pass  # its own task waits for that


@attrs.define(eq=False)
class InstanceLives:
    """Makes, starts and stops the instances of one subscription; each knows the runtime through this."""

    _behaviour: StatefulBehaviour
    _actor: LivingActor[Delivery]
    _supervisor: Supervisor
    _instance: Actor | None = attrs.field(default=None, init=False)

    @property
    def name(self) -> str:
        return self._behaviour.name

    @property
    def grace(self) -> float:
        return self._behaviour.around.grace

    async def spawn_child(self, handler: Any, arguments: tuple[Any, ...], name: str | None, options: Any) -> Any:
        return await self._behaviour.around.spawn_child(self._behaviour, handler, arguments, name, options)

    async def emit(self, name: Any, data: Any, options: EmitOptions) -> Receipt:
        return await self._behaviour.around.emit(name, data, **options)

    async def may_begin(self) -> None:
        await self._supervisor.wait_to_start()

    async def begin(self, scope: AsyncExitStack) -> None:
        instance: Actor = self._behaviour.factory()
        bind(instance, self, scope)
        await instance.started()
        self._instance = instance
        self._behaviour.use(instance)

    def begun(self) -> None:
        self._supervisor.enter(Phase.ALIVE)

    async def end(self) -> None:
        await self.over()
        await self._supervisor.wait_to_stop()
        instance, self._instance = self._instance, None
        if instance is None:
            return
        try:
            await instance.stopped()
        except BaseException as error:
            match judge(error):
                case Verdict.CANCELLED:
                    self._behaviour.teller.stopping_late(self.grace)
                    raise
                case Verdict.INTERRUPTED:
                    self.interrupted(interrupt_of(error))
                case _:  # a failure
                    exception = self._behaviour.as_exception(error)
                    self._behaviour.teller.failed(Moment.STOPPING.value, exception)
                    self._supervisor.failure = exception
                    self._supervisor.apply(self._supervisor.decide(Moment.STOPPING, exception), exception)

    async def over(self) -> None:
        """Where this actor ends for good, its children end first; the newest first.

        Cancellation: what they have not finished by then is cancelled.
        """
        if not self._actor.closed:
            return
        behaviour = self._behaviour
        for child in reversed(self._supervisor.children[:]):
            child.held = False
            self._supervisor.turns.tell()
            await behaviour.around.end_child(child.name, behaviour.stopped_for)

    def ended(self, error: BaseException | None) -> None:
        supervisor = self._supervisor
        moment = Moment.STARTING if supervisor.phase is Phase.STARTING else Moment.LIVING
        supervisor.enter(Phase.ENDED if self._actor.closed else Phase.DOWN)
        if error is None:
            return
        exception = self._behaviour.as_exception(error)
        if self._actor.closed:
            moment = Moment.STOPPING
        self._behaviour.teller.failed(moment.value, exception)
        supervisor.failure = exception
        supervisor.apply(supervisor.decide(moment, exception), exception)

    def interrupted(self, interrupt: BaseException) -> None:
        self._behaviour.around.fall(interrupt)
