"""Subscriptions of a life that are paused and resumed, stopped and started again.

Units: seconds of virtual time.
"""

from collections import Counter
from typing import TYPE_CHECKING

import anyio
import attrs

from postroom import DuplicateSubscription, PostroomError

from .declaring import declared_for_store
from .handlers import StoreHandler
from .program import Change, StoreSpec

if TYPE_CHECKING:  # a life changes by this, and this belongs to a life
    from .process import Life

PATIENCE = 300.0
"""Seconds within which every change must have come about once all is set right."""


@attrs.define(eq=False)
class Changing:
    """What becomes of the subscriptions of one life.

    Attributes:
        changes, begun: How many of each subscription are on their way, and have begun.
        paused, stopped: Those that may begin nothing.
    """

    life: "Life"
    changes: Counter[str] = attrs.field(factory=Counter)
    begun: Counter[str] = attrs.field(factory=Counter)
    paused: set[str] = attrs.field(factory=set)
    stopped: set[str] = attrs.field(factory=set)

    async def change(self, spec: StoreSpec, change: Change) -> None:
        """Change one of them."""
        world, name = self.life.process.world, spec.name
        self.changes[name] += 1
        self.begun[name] += 1
        try:
            with world.waits(self.life, f"{self.life.name}: {change} {name}"):
                await self._change(spec, change)
        except PostroomError as error:
            world.say(f"{self.life.name} {change} {name}: {type(error).__name__}")
        else:
            world.say(f"{self.life.name} {change} {name}: done")
        finally:
            self.changes[name] -= 1

    async def _change(self, spec: StoreSpec, change: Change) -> None:
        life, name, mark = self.life, spec.name, self.life.process.world.sometimes.hit
        subscription = life.runtime.subscriptions.get(name)
        if change == "start":
            # While the one before ends, the name is refused or free, whichever comes first.
            if (subscription is None or self.changes[name] > 1) and life.is_open:
                await life.runtime.spawn(declared_for_store(spec, StoreHandler(spec, life)))
                self.stopped.discard(name)
                self.paused.discard(name)
                mark("started again")
            return
        if subscription is None:
            return
        if change == "pause":
            begun = self.begun[name]
            is_alone = self.changes[name] == 1
            await subscription.pause()
            if is_alone and self.begun[name] == begun and not life.is_closing:  # else nobody knows what comes last
                self.paused.add(name)
            return
        self.paused.discard(name)
        if change == "resume":
            await subscription.resume()
            return
        if any(each.subscription == name for each in life.process.model.of(life.session)):
            mark("drained with deliveries" if change == "drain" else "stopped with deliveries")
        await subscription.stop(drain=change == "drain")
        if name not in life.runtime.subscriptions:
            self.stopped.add(name)

    async def set_right(self) -> None:
        """Let all of them be at work."""
        life = self.life
        with anyio.move_on_after(PATIENCE) as patience:
            for spec in life.process.specs:
                while self.changes[spec.name]:
                    await anyio.sleep(1)
                while spec.name not in life.runtime.subscriptions and not life.is_closing:
                    try:
                        await self._change(spec, "start")
                    except DuplicateSubscription:
                        await anyio.sleep(1)
                # Not where it isn't paused: that brings mail to all, also to those who have missed some.
                is_paused = spec.name in life.process.model.paused
                if not life.is_closing and (is_paused or life.runtime.subscriptions[spec.name].stats.paused):
                    await self.change(spec, "resume")
        if patience.cancelled_caught:
            life.process.world.complain(f"{life.name} has not come to serve all of its subscriptions")

    def check_may_begin(self, spec: StoreSpec, event: str) -> None:
        """A handler begins. A batch may be in hand since before a pause: it is put together for some time."""
        world = self.life.process.world
        if self.life.is_closing:
            return
        if spec.name in self.paused and spec.kind != "batch":
            world.complain(f"{spec.name} begins {event} in {self.life.name}, and is paused there")
        if spec.name in self.stopped:
            world.complain(f"{spec.name} begins {event} in {self.life.name}, and is stopped there")
