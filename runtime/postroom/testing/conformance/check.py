"""Checks: one promise each, as an async function of a world, with what a module must have for it to make sense."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias

import anyio
import attrs

from postroom.capabilities import Capability

from .world import World

Run: TypeAlias = Callable[[World], Awaitable[None]]


@attrs.frozen
class Check:
    """One promise of an event module. Called with a fresh world, it returns where the module keeps it.

    Attributes:
        name: The promise, as a sentence.
        says: What it shows, in more words.
        needs: What the module must have declared.
        has_store: It is about modules with a store, as all have but Local.
        kills, stalls, forgets: The world must be able to show that.

    Raises:
        AssertionError: of the module; the promise is broken.
        TimeoutError: what was promised did not come.

    Cancellation: ends all that it had started.
    """

    name: str
    says: str
    _run: Run
    needs: frozenset[Capability] = frozenset()
    has_store: bool = False
    kills: bool = False
    stalls: bool = False
    forgets: bool = False

    def __str__(self) -> str:
        return self.name

    async def __call__(self, world: World) -> None:
        failure: BaseException | None = None
        try:
            async with world:
                try:
                    with anyio.fail_after(4 * world.patience):
                        await self._run(world)
                except Exception as error:
                    failure = error  # kept: it would become one of a group
                    raise
        except BaseExceptionGroup:
            if failure is not None:
                raise failure from None
            raise

    def suits(
        self, capabilities: Collection[Capability], has_store: bool, kills: bool, stalls: bool, forgets: bool
    ) -> bool:
        """Whether it makes sense for a module that has declared these, in a world that can show those."""
        return (
            self.needs <= frozenset(capabilities)
            and (has_store or not self.has_store)
            and (kills or not self.kills)
            and (stalls or not self.stalls)
            and (forgets or not self.forgets)
        )


def check(
    *needs: Capability, has_store: bool = False, kills: bool = False, stalls: bool = False, forgets: bool = False
) -> Callable[[Run], Check]:
    """Make a check of a function of a world; its name is the promise, its docstring says more."""

    def decorate(run: Run) -> Check:
        says = (run.__doc__ or "").strip()
        return Check(run.__name__, says, run, frozenset(needs), has_store, kills, stalls, forgets)

    return decorate
