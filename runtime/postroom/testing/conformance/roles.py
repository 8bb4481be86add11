"""Checks of roles: processes that only emit, or only handle."""

from postroom.capabilities import Capability
from postroom.context import Context
from postroom.event import Event
from postroom.store_errors import WrongRole

from .check import check
from .ledger import Ledger
from .refusals import raises
from .world import World


@check(Capability.SHARED)
async def a_process_that_only_emits_registers_and_handles_nothing(world: World) -> None:
    """Its subscribers are known before their first handler runs: what it emits waits for one."""
    ledger, elsewhere = Ledger(), Ledger()
    emitter = await world.start(ledger.handler(), role="emit")
    receipts = [await emitter.emit("order.placed", n) for n in range(3)]
    await world.wait(2)
    assert ledger.lines == []
    handler = await world.start(elsewhere.handler(), role="handle")
    assert all([(await receipt).succeeded for receipt in receipts])
    assert (ledger.lines, elsewhere.lines) == ([], [0, 1, 2])
    await handler.idle()


@check(Capability.SHARED)
async def a_process_that_only_handles_emits_in_its_handlers(world: World) -> None:
    """And nowhere else."""
    ledger, mails = Ledger(), Ledger()

    async def react(event: Event, context: Context) -> None:
        await context.emit("mail.sent", event.data)

    handler = await world.start(ledger.handler(then=react), mails.handler("mail.*", name="mails"), role="handle")
    await raises(WrongRole, lambda: handler.emit("order.placed", 1))
    await raises(WrongRole, lambda: handler.emit_many([Event("order.placed", 1)]))
    emitter = await world.start(role="emit")
    assert (await (await emitter.emit("order.placed", 2))).succeeded
    await handler.idle()
    assert (ledger.lines, mails.lines) == ([2], [2])
