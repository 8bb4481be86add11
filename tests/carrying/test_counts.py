"""What a runtime on a store counts and records."""

from postroom import Event, Recording, Runtime, subscriber
from postroom.testing.reference import ReferenceModule, ReferenceStore


@subscriber("order.*")
async def ledger(event: Event) -> None:
    pass


async def test_events_of_groups_are_counted_and_recorded_once() -> None:
    recording = Recording()
    runtime = Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[ledger])
    with runtime.recording(recording):
        async with runtime:
            async with runtime.group() as group:
                receipts = [await group.emit("order.placed", n) for n in range(3)]
            for receipt in receipts:
                await receipt
            await runtime.idle()
            assert (runtime.stats.accepted, runtime.stats.staged) == (3, 0)
    assert [(each.event.data, each.targets, len(each.outcomes)) for each in recording] == [
        (n, ["ledger"], 1) for n in range(3)
    ]


async def test_an_id_that_is_emitted_again_is_counted_and_recorded_once() -> None:
    recording = Recording()
    runtime = Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[ledger])
    with runtime.recording(recording):
        async with runtime:
            for _ in range(3):
                await (await runtime.emit("order.placed", 1, id="order-1"))
            staged = await runtime.emit("order.placed", 1, id="order-1", group="g")
            assert (await staged).succeeded
            assert runtime.stats.accepted == 1
    assert [(each.targets, len(each.outcomes)) for each in recording] == [(["ledger"], 1)]
