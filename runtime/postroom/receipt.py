"""Receipts: the emitter's awaitable acknowledgement.

Source: end-to-end acknowledgement (Saltzer, Reed & Clark, 1984): only the handler can say that the work was done.
"""

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Protocol

import anyio.lowlevel
import msgspec

from postroom_actors import Admission, Need, Port, Wait, Wakeable, current_hand

from .deadlock import ANSWER, OUTCOMES, ROOM, check_here, waiting
from .event import Event
from .outcomes import Outcome, Report, Succeeded
from .quoting import quoted


class Target(Protocol):
    """A subscription, as the receipt knows it."""

    @property
    def name(self) -> str: ...
    @property
    def port(self) -> Port: ...

    def needs_to_admit(self, admission: Admission) -> Sequence[Need]:
        """Who must move before a message in line here gets into the mailbox; nobody where none stands there."""
        ...

    def need_to_settle(self, receipt: "Receipt") -> Need:
        """Who must move before the delivery of this receipt settles here."""
        ...


class Entrance(Protocol):
    """A wait until an event has got in: into mailboxes, or into a store."""

    @property
    def waiting(self) -> int: ...
    def attend(self, sleeper: Wakeable) -> None: ...
    def leave(self, sleeper: Wakeable) -> None: ...
    async def wait(self) -> None: ...


class _Eager(list[Wakeable]):
    """Those who wait for a receipt, some of them for its next outcome rather than for all."""

    __slots__ = ()


class Receipt(msgspec.Struct, eq=False):
    """What `emit` returns: awaiting it gives the report once every subscription has settled.

    A struct, as events are, and for the same reason.

    Attributes:
        event: The event as it was accepted.
        targets, admission, outcomes, waiters: The runtime's own.
    """

    event: Event
    targets: tuple[Target, ...]
    admission: Entrance | None = None
    outcomes: list[Outcome] | None = None
    waiters: list[Wakeable] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.event.name} {quoted(self.event.id)}: {self._state()}>"

    def _state(self) -> str:
        return f"{len(self.targets) - self.pending} of {len(self.targets)} settled"

    @property
    def id(self) -> str:
        """The event's id."""
        return self.event.id

    @property
    def pending(self) -> int:
        """Subscriptions that have not settled yet."""
        return len(self.targets) - (0 if self.outcomes is None else len(self.outcomes))

    @property
    def settled(self) -> bool:
        """Whether every subscription has settled."""
        return not self.pending

    @property
    def staged(self) -> bool:
        """Whether the event waits in a group, not accepted yet."""
        return False

    def __await__(self) -> Generator[Any, Any, Report]:
        return self.wait().__await__()

    async def wait(self) -> Report:
        """Wait until every subscription has settled.

        Returns:
            The report; the same for everyone who waits.

        Raises:
            WouldDeadlock: in a handler, where a subscription could only settle after this very handler.
            WrongBackend: this is another event loop than the runtime's.

        Cancellation: nobody's handler is cancelled; wait again as you like.
        """
        if not self.pending:
            await anyio.lowlevel.checkpoint()
            return self.report()
        port = self._loop()
        check_here(port)
        if current_hand() is None:  # the common case without the context manager, which costs as much as a wake-up
            await self._wait(port)
        else:
            with waiting(port, lambda: self.wait_for(OUTCOMES)):
                await self._wait(port)
        return self.report()

    def _loop(self) -> Port:
        """The event loop of the runtime; asked for while something is pending only."""
        return self.targets[0].port

    def check_accepted(self) -> None:
        """The runtime's own: raises why the event was not accepted after all, where a store had to be asked."""

    async def _wait(self, port: Port) -> None:
        if port.breathes_cheaply:
            # Most handlers are done after one turn of the loop, and a turn is cheaper than a future.
            await port.breathe()
        while self.pending:
            await self._park(port)

    async def answer(self) -> Any:
        """Wait for the first subscription that succeeds: what `Runtime.request` does.

        Returns:
            The value that its handler returned.

        Raises:
            ExceptionGroup: none succeeded; as `Report.raise_for_failures`.
            WouldDeadlock, WrongBackend: as `wait`.

        Cancellation: as `wait`.
        """
        while True:
            for outcome in self.outcomes or ():
                if isinstance(outcome, Succeeded):
                    return outcome.value
            if not self.pending:
                self.report().raise_for_failures()
                return None
            port = self._loop()
            check_here(port)
            with waiting(port, lambda: self.wait_for(ANSWER)):
                self.tell_each()
                await self._park(port)

    async def admitted(self) -> None:
        """The runtime's own: wait until every mailbox has taken its share.

        Cancellation: what stands in line stays there, within the bound on what nobody waits for.
        """
        if self.admission is not None and self.admission.waiting:
            port = self.targets[0].port
            with waiting(port, lambda: self.wait_for(ROOM)):
                await self.admission.wait()

    async def wait_from_the_start(self) -> Report:
        """The runtime's own: as `admitted`, then `wait`.

        Cancellation: as these.
        """
        await self.admitted()
        return await self.wait()

    async def _park(self, port: Port) -> None:
        sleeper = port.sleeper()
        self.wake_later(sleeper)
        try:
            await sleeper.park()
        finally:
            assert self.waiters is not None, "they are told of settling, and stay"
            self.waiters.remove(sleeper)

    def wake_later(self, waiter: Wakeable) -> None:
        """The runtime's own: wake `waiter`, who stands in `waiters` then, when all is settled."""
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(waiter)

    def stop_waking(self, waiter: Wakeable) -> None:
        """The runtime's own: `waiter` has gone; does nothing where it doesn't stand in `waiters`."""
        if self.waiters is not None and waiter in self.waiters:
            self.waiters.remove(waiter)

    def tell_each(self) -> None:
        """The runtime's own: wake those who wait at every outcome from now on, not at the last one only."""
        if type(self.waiters) is not _Eager:
            self.waiters = _Eager(self.waiters or ())

    def report(self) -> Report:
        """The outcomes so far; all of them once `settled`."""
        return Report(self.event, tuple(self.outcomes or ()))

    def settle(self, outcome: Outcome) -> None:
        """The runtime's own: one more subscription has settled."""
        if self.outcomes is None:
            self.outcomes = [outcome]
        else:
            self.outcomes.append(outcome)
        if self.waiters is not None and (not self.pending or type(self.waiters) is _Eager):
            for waiter in tuple(self.waiters):  # a copy: a thread may come or go meanwhile
                waiter.wake()

    def wait_for(self, kind: str) -> Wait:
        """The runtime's own: a wait for this receipt as the wait-for graph sees it."""
        if kind == ROOM:
            assert isinstance(self.admission, Admission), "there was no room in a mailbox"
            return wait_for_room(self.targets, self.admission)
        label = f"the outcome of {self.event.name} in {', '.join(target.name for target in self._unsettled())}"
        return Wait(kind, label, lambda: self._needs(kind), every=kind == OUTCOMES)

    def _needs(self, kind: str) -> list[Need]:
        if kind == ANSWER and self._answered:
            return []  # who asked has not been woken yet
        return [target.need_to_settle(self) for target in self._unsettled()]

    @property
    def _answered(self) -> bool:
        return any(isinstance(outcome, Succeeded) for outcome in self.outcomes or ())

    def _unsettled(self) -> list[Target]:
        settled = {outcome.subscription for outcome in self.outcomes or ()}
        return [target for target in self.targets if target.name not in settled]


def wait_for_room(targets: Iterable[Target], admission: Admission) -> Wait:
    """A wait for room in those of the targets' mailboxes in which messages of `admission` stand in line."""
    full = [target for target in targets if target.needs_to_admit(admission)]
    label = f"room in {', '.join(target.name for target in full)}"
    return Wait(ROOM, label, lambda: [need for target in full for need in target.needs_to_admit(admission)])
