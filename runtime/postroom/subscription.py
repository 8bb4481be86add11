"""Subscriptions: a subscriber at work in a runtime, as its user holds it."""

from typing import Any

import anyio.lowlevel
import attrs

from postroom_actors import Wait

from .behaviour import SubscriptionBehaviour
from .deadlock import END, check_here, waiting
from .stats import SubscriptionStats
from .subscriber import Subscriber
from .supervised import UNSUBSCRIBED


@attrs.define(eq=False)
class Subscription:
    """A subscriber at work. Made by `Runtime(subscribers=…)` and `Runtime.spawn`."""

    _behaviour: SubscriptionBehaviour

    def __repr__(self) -> str:
        stats = self.stats
        state = self._behaviour.leaving or ("paused" if stats.paused else "at work")
        counts = f"{stats.pending} pending, {stats.succeeded} succeeded, {stats.failed} failed"
        return f"<Subscription {self.name}: {state}; {counts}>"

    @property
    def name(self) -> str:
        """Its name, unique in the runtime."""
        return self._behaviour.name

    @property
    def patterns(self) -> tuple[str, ...]:
        """What it subscribes to."""
        return self._behaviour.subscriber.patterns

    @property
    def subscriber(self) -> Subscriber[Any, Any]:
        """The declaration that it was made from."""
        return self._behaviour.subscriber

    @property
    def stats(self) -> SubscriptionStats:
        """Its counters now."""
        behaviour = self._behaviour
        tally = behaviour.tally
        return SubscriptionStats(
            accepted=tally.accepted,
            succeeded=tally.succeeded,
            failed=tally.failed,
            dropped=tally.dropped,
            expired=tally.expired,
            cancelled=tally.cancelled,
            retried=tally.retried,
            returned=tally.returned,
            pending=tally.pending,
            waiting=len(behaviour.mailbox),
            in_line=len(behaviour.mailbox.line),
            in_hand=len(behaviour.actor.in_hand),
            stuck=0 if behaviour.overtime is None else behaviour.overtime.stuck,
            paused=behaviour.is_paused,
            breaker=None if behaviour.breaker is None else behaviour.breaker.state.value,
            restarts=0 if behaviour.supervisor is None else behaviour.supervisor.restarts,
            high_water_mark=behaviour.mailbox.high_water_mark,
            busy_seconds=behaviour.busy_seconds,
            waited_seconds=behaviour.waited_seconds,
        )

    @property
    def failure(self) -> Exception | None:
        """What it was last restarted or stopped for by its supervision; None where it never was."""
        supervisor = self._behaviour.supervisor
        return None if supervisor is None else supervisor.failure

    async def pause(self) -> None:
        """Take nothing more from the mailbox until `resume`; what is in hand goes on. Pausing again is fine.

        What comes waits in the mailbox, and once that is full its emitters wait, as the overflow policy says. A stop
        with `drain` and the end of the runtime resume it. On a durable module it is paused in all processes, until
        somebody resumes it.

        Raises:
            WrongBackend: this is another event loop than the runtime's.

        Cancellation: nothing was done.
        """
        check_here(self._behaviour.port)
        await anyio.lowlevel.checkpoint()
        if self._behaviour.leaving is None:
            self._behaviour.pause()
            if self._behaviour.around.pause is not None:
                await self._behaviour.around.pause(self.name, True)

    async def resume(self) -> None:
        """Undo `pause`; does nothing where it isn't paused, and nothing to a breaker that is open.

        Raises:
            WrongBackend: this is another event loop than the runtime's.

        Cancellation: nothing was done.
        """
        check_here(self._behaviour.port)
        await anyio.lowlevel.checkpoint()
        self._behaviour.resume()
        if self._behaviour.around.pause is not None:
            await self._behaviour.around.pause(self.name, False)

    async def stop(self, *, drain: bool = True) -> None:
        """Take in nothing more and end.

        With `drain` what was accepted is handled first, retries included; without, what is in hand is cancelled
        and everything not settled ends as `Cancelled`, as "unsubscribed". On a durable module that, and all that is
        stored for it, waits there instead for the next that serves the name. Stopping again is fine.

        Returns when the actor has ended.

        Raises:
            WouldDeadlock: with `drain`, in a handler that would wait for its own end; nothing was stopped.
            WrongBackend: this is another event loop than the runtime's.

        Cancellation: the subscription goes on ending by itself; call again to wait for it, or with `drain=False`
        to cut it short.
        """
        behaviour = self._behaviour
        check_here(behaviour.port)
        if not drain:
            self._leave()
            behaviour.cancel_waiting()
            behaviour.actor.interrupt()
            await behaviour.wait_until_ended()
            await self._leave_store()
            return
        with waiting(behaviour.port, self._wait_for_end):
            self._leave()
            behaviour.resume()
            if not behaviour.tally.pending:
                behaviour.actor.close()
            else:
                behaviour.when_settled.append(behaviour.actor.close)
            await behaviour.wait_until_ended()
        await self._leave_store()

    async def _leave_store(self) -> None:
        if self._behaviour.around.leave is not None:
            await self._behaviour.around.leave(self._behaviour)

    def _leave(self) -> None:
        self._behaviour.unsubscribe()
        self._behaviour.leaving = self._behaviour.leaving or UNSUBSCRIBED
        self._behaviour.around.reopened()

    def _wait_for_end(self) -> Wait:
        return Wait(END, f"the end of {self.name}", self._behaviour.needs_to_settle_all)
