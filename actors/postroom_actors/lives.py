"""Actors with state: one task in which one instance after the other lives, all with the same mailbox.

An instance may open scopes when it starts that live until it has stopped, such as a task group, because start,
messages and stop run in this one task, in that order.

Source: the processes of Erlang, and Akka's actors, whose mailbox outlives the instance.
"""

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import Generic, Protocol, TypeVar

import anyio
import attrs

from .actor import Actor, Hand
from .gates import Shut
from .generators import tidily
from .guard import Verdict, interrupt_of, judge

M = TypeVar("M")


class Lives(Protocol):
    """What becomes of the instances of one actor."""

    @property
    def grace(self) -> float:
        """Seconds that an instance has to stop, and to close what it had opened."""
        ...

    def may_begin(self) -> Awaitable[None]:
        """Wait for the time at which the next instance is to start."""
        ...

    def begin(self, scope: AsyncExitStack) -> Awaitable[None]:
        """Make an instance and start it; what it opens for its life goes into `scope`."""
        ...

    def begun(self) -> None:
        """The instance has started: messages come now."""
        ...

    def end(self) -> Awaitable[None]:
        """Stop the instance, if it had started, in a scope that is shielded for `grace` seconds.

        Lets nothing out but a cancellation.
        """
        ...

    def ended(self, error: BaseException | None) -> None:
        """The instance is gone. With an error that is because its start failed, or something in its scope."""
        ...

    def over(self) -> Awaitable[None]:
        """No other instance will begin: end what earlier ones have left behind, shielded as `end` is."""
        ...

    def interrupted(self, interrupt: BaseException) -> None:
        """The start let out `KeyboardInterrupt` or `SystemExit`."""
        ...


@attrs.define(eq=False, kw_only=True)
class LivingActor(Actor[M], Generic[M]):
    """An actor of one hand, in which instances live.

    Attributes:
        lives: To be set before it starts.
        renewing: The instance that lives is to end, and another one to go on.
    """

    lives: Lives = attrs.field(init=False)
    renewing: bool = attrs.field(default=False, init=False)
    _working: anyio.CancelScope | None = attrs.field(default=None, init=False, repr=False)
    _is_defect: bool = attrs.field(default=False, init=False, repr=False)
    _shut: Shut = attrs.field(factory=Shut, init=False, repr=False)

    def renew(self) -> None:
        """End the instance that lives, by cancelling what it has in hand; another one goes on.

        Does nothing where none lives.
        """
        if self._working is None or self.renewing:
            return
        self.renewing = True
        # Whether its handler has just failed, or is past its last wait: this instance gets no other message.
        self.mailbox.add_gate(self._shut)
        self._working.cancel()

    async def serve(self, hand: Hand[M]) -> None:
        try:
            while not self.closed or self.mailbox.has_mail:
                await self.lives.may_begin()
                await self._live(hand)
        finally:
            # The last instance may have begun to end before anybody knew that it is the last one.
            with anyio.CancelScope(deadline=anyio.current_time() + self.lives.grace, shield=True):
                await self.lives.over()

    async def _live(self, hand: Hand[M]) -> None:
        """One instance, from its start until it is gone.

        Cancellation: as `work`, once the instance has stopped or its grace is over.
        """
        error: BaseException | None = None
        try:
            await self._begin_and_end(hand)
        except BaseException as caught:
            if self._is_defect:
                raise
            error = caught
        if error is None:
            self.lives.ended(None)
            return
        match judge(error):
            case Verdict.FAILURE:
                self.lives.ended(error)
                return
            case Verdict.CANCELLED:
                self.lives.ended(None)
            case _:  # interrupted
                self.lives.interrupted(interrupt_of(error))
                self.interrupt()
        await anyio.sleep_forever()  # not `raise`, for the reason given in `sort_out`; it is cancelled at once

    async def _begin_and_end(self, hand: Hand[M]) -> None:
        # Outside of whatever the instance opens, so that its deadline bounds the closing of that as well.
        with anyio.CancelScope() as life:
            async with AsyncExitStack() as scope:
                try:
                    await tidily(hand, self.lives.begin(scope))
                    await self._work_on(hand)
                finally:
                    life.deadline = anyio.current_time() + self.lives.grace
                    life.shield = True
                    with anyio.CancelScope(deadline=life.deadline, shield=True):
                        await tidily(hand, self.lives.end())
        if life.cancelled_caught:
            raise TimeoutError(f"what {self.name} had opened did not close within {self.lives.grace:g} s")

    async def _work_on(self, hand: Hand[M]) -> None:
        with anyio.CancelScope() as working:
            self._working = working
            hand.turn_over()  # what the instance has started to run beside its messages belongs to none of them
            self.lives.begun()
            try:
                await Actor.serve(self, hand)
            except Exception:
                self._is_defect = True  # handlers' errors don't come here: this is the kernel's own, and ends it
                raise
            finally:
                self._working = None
                if self.renewing:
                    self.renewing = False
                    self.mailbox.remove_gate(self._shut)
