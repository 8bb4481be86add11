"""Checks of what a module that lacks a capability refuses; and how the checks look for an error."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from postroom.capabilities import Capability, Unsupported
from postroom.pacing import Rate

from .check import Check, Run
from .ledger import Ledger
from .world import World

E = TypeVar("E", bound=BaseException)


async def raises(kind: type[E], call: Callable[[], Awaitable[object]]) -> E:
    """The error that `call` raises; for lack of pytest.

    Raises:
        AssertionError: it raises nothing.

    Cancellation: as `call`.
    """
    try:
        await call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, and nothing was raised")


_ASKED_BY_EMIT: dict[Capability, dict[str, Any]] = {
    Capability.DELAY: {"delay": 1.0},
    Capability.PRIORITY: {"priority": "high"},
    Capability.KEYS: {"key": "a"},
    Capability.DEDUPLICATION: {"id": "a"},
    Capability.GROUPS: {"group": "a"},
}


def refusals(capabilities: Collection[Capability], has_store: bool) -> list[Check]:
    """For each capability that a module has not declared: asking for it is an error, and nothing happens."""
    lacking = [each for each in Capability if each not in capabilities]
    return [
        Check(f"what_needs_{each}_is_refused", f"The module has not declared {each!r}.", _refusal(each, has_store))
        for each in lacking
    ]


def _refusal(capability: Capability, has_store: bool) -> Run:
    async def run(world: World) -> None:
        await raises(Unsupported, lambda: world.start(requires={capability}))
        ledger = Ledger()
        if capability is Capability.SHARED:
            await raises(Unsupported, lambda: world.start(ledger.handler(), role="emit"))
        if capability is Capability.BACKLOG:
            await raises(Unsupported, lambda: world.start(ledger.handler(backlog=3)))
            if has_store:
                await raises(Unsupported, lambda: world.start(ledger.handler(overflow="drop_newest")))
        if capability is Capability.RATES:
            await raises(Unsupported, lambda: world.start(ledger.handler(rate=Rate(1))))
        shop = await world.start(ledger.handler())
        if capability is Capability.NOWAIT:
            try:
                shop.emit_nowait("order.placed", 1)
            except Unsupported:
                pass
            else:
                raise AssertionError("emit_nowait was not refused")
        if capability is Capability.BACKLOG:
            await raises(Unsupported, lambda: shop.spawn(ledger.handler(name="other", backlog=3)))
        if capability is Capability.RATES:
            await raises(Unsupported, lambda: shop.spawn(ledger.handler(name="other", rate=Rate(1))))
        if capability is Capability.GROUPS:
            await raises(Unsupported, lambda: shop.release_group("a"))
            await raises(Unsupported, lambda: shop.clear_group("a"))
        if capability in _ASKED_BY_EMIT:
            await raises(Unsupported, lambda: shop.emit("order.placed", 1, **_ASKED_BY_EMIT[capability]))
        await shop.idle()
        assert ledger.lines == []

    return run
