"""What must hold whatever was cancelled: at every moment, when everything has settled, and after the end."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from postroom import Succeeded
from postroom.behaviour import SubscriptionBehaviour
from postroom.recordings import _Listener
from postroom_actors import Actor

from .schedule import deadlines_set, tasks_alive
from .world import PROBE, World

SERVICES = 4
"""Tasks of an open runtime beside its subscriptions': the dispatcher, timers, alarms, and who names the stuck."""


def account(world: World) -> Iterator[str]:
    """Conservation, between any two steps: each delivery is in one place, or has settled once."""
    runtime = world.runtime
    stats = runtime.stats
    pending = 0
    for receipt, targets in world.accepted:
        settled = [outcome.subscription for outcome in receipt.report().outcomes]
        pending += receipt.pending
        if len(set(settled)) < len(settled) or not set(settled) <= set(targets):
            yield f"{receipt.event.name} {receipt.id} settled as {settled} for {targets}"
    if stats.pending != pending:
        yield f"{stats.pending} deliveries are counted as pending, and receipts wait for {pending}"
    if stats.deliveries != sum(len(targets) for _, targets in world.accepted):
        yield f"{stats.deliveries} deliveries are counted, and others were accepted"
    found = _places(world)
    if found != pending:
        yield f"{pending} deliveries are pending, and {found} are somewhere"
    for behaviour in _behaviours(world):
        yield from _bounds(behaviour)


def _places(world: World) -> int:
    """How many deliveries there are, counted where they are."""
    dispatcher = world.runtime._dispatcher
    actors: list[Actor[Any]] = [dispatcher.actor, *(each.actor for each in _behaviours(world))]
    found = sum(each.scheduled + each.scheduled_in_line for each in _behaviours(world))
    for actor in actors:
        found += len(actor.mailbox.waiting()) + len(actor.mailbox.line) + len(actor.in_hand)
    return found


def _behaviours(world: World) -> list[SubscriptionBehaviour]:
    return list(world.runtime._roster.behaviours.values())


def _bounds(behaviour: SubscriptionBehaviour) -> Iterator[str]:
    subscriber, mailbox = behaviour.subscriber, behaviour.mailbox
    if len(mailbox) > mailbox.capacity:
        yield f"{len(mailbox)} wait in {behaviour.name}'s mailbox of {mailbox.capacity}"
    if mailbox.line and len(mailbox) < mailbox.capacity:
        yield f"there is a line in front of free places of {behaviour.name}"
    size = 1 if subscriber.batch is None else subscriber.batch.size
    if len(behaviour.actor.in_hand) > subscriber.concurrency * size:
        yield f"{behaviour.name} has {len(behaviour.actor.in_hand)} in hand"
    if mailbox.idle_hands != len(behaviour.actor._idle):
        yield f"{behaviour.name} counts its idle hands as {mailbox.idle_hands}"


def settled(world: World, tasks: int, deadlines: int) -> Iterator[str]:
    """In an open runtime in which all has settled: nothing is left of what was cancelled.

    Args:
        tasks: How many there were before the runtime was entered.
        deadlines: Likewise.
    """
    runtime = world.runtime
    yield from account(world)
    if runtime.stats.pending:
        yield f"{runtime.stats.pending} deliveries have not settled"
    for receipt, _ in world.accepted:
        yield from _nobody_waits(receipt)
    hands = 0
    for behaviour in _behaviours(world):
        hands += len(behaviour.actor.hands)
        yield from _is_at_rest(behaviour)
    dispatcher = runtime._dispatcher
    if len(dispatcher.actor._idle) != 1 or dispatcher.actor.mailbox.queue or dispatcher.busy:
        yield "the dispatcher is not at rest"
    if len(dispatcher.timers) or any(each.scheduled or each.scheduled_in_line for each in _behaviours(world)):
        yield "timers are left"
    if len(runtime._around.alarms):
        yield "alarms are left"
    stages = runtime._stages
    if stages.blocks or stages._stages or runtime._deduplication._staged:
        yield "something is still staged"
    if runtime._changes.open or runtime.dead_letters.watches.open or runtime._recordings:
        yield "somebody still watches"
    if tasks_alive() != tasks + SERVICES + hands:
        yield f"{tasks_alive()} tasks are alive, and {tasks} + {SERVICES} + {hands} should be"
    if deadlines_set() != deadlines:
        yield f"{deadlines_set()} deadlines are set, and {deadlines} should be"


def _nobody_waits(receipt: Any) -> Iterator[str]:
    waiters = [each for each in receipt.waiters or () if not isinstance(each, _Listener)]  # those never leave
    if waiters:
        yield f"{len(waiters)} still wait for {receipt.event.name} {receipt.id}"
    admission = receipt.admission
    if admission is not None and (admission.waiting or admission._sleepers):
        yield f"the admission of {receipt.event.name} {receipt.id} is not over"


def _is_at_rest(behaviour: SubscriptionBehaviour) -> Iterator[str]:
    name, actor, mailbox = behaviour.name, behaviour.actor, behaviour.mailbox
    if behaviour.leaving is not None:
        yield f"{name} is leaving ({behaviour.leaving}) and never ends"
    if not len(actor.hands) == len(actor._idle) == actor.concurrency:
        yield f"{len(actor._idle)} of {len(actor.hands)} hands of {name} rest, and {actor.concurrency} should"
    for hand in actor.hands:
        if hand.message is not None or hand.wait is not None:
            yield f"a hand of {name} has {hand.message} and waits for {hand.wait}"
    if mailbox.line or mailbox.abandoned or len(mailbox) or mailbox.waiting():
        yield f"the mailbox of {name} is not empty"
    if mailbox.lanes is not None and (mailbox.lanes._lanes or mailbox.lanes._held or mailbox.lanes._returned):
        yield f"{name} holds keys: {mailbox.lanes._held}"
    gates = [gate for gate in mailbox.gates if gate is not behaviour.rate]
    if gates or behaviour.is_paused:
        yield f"gates are left in front of {name}: {gates}"
    for schedule in filter(None, (behaviour._delays, behaviour._retries)):
        if schedule.kept or schedule._abandoned or schedule._successions or schedule.line:
            yield f"a schedule of {name} is not empty"
    if behaviour.when_settled:
        yield f"somebody still waits for {name} to settle"
    own = 1 if behaviour.parent is None else 2  # the roster's, and the parent's
    if len(behaviour.when_ended) != own:
        yield f"somebody still waits for {name} to end"
    supervisor = behaviour.supervisor
    if supervisor is not None and supervisor.held:
        yield f"{name} is held back"


def ended(world: World, tasks: int, deadlines: int) -> Iterator[str]:
    """After the runtime's block: all has settled and nothing is alive; what happened was right."""
    yield from account(world)
    runtime = world.runtime
    if runtime.stats.pending:
        yield f"{runtime.stats.pending} deliveries are pending after the end"
    for receipt, _ in world.accepted:
        if not receipt.settled:
            yield f"{receipt.event.name} {receipt.id} never settled"
        yield from _nobody_waits(receipt)
    for behaviour in _behaviours(world):
        if behaviour.actor.hands:
            yield f"{behaviour.name} still has hands"
    if runtime._stages.blocks or runtime._stages._stages or runtime._deduplication._staged:
        yield "something is still staged after the end"
    if runtime._changes.open or runtime.dead_letters.watches.open:
        yield "somebody still watches after the end"
    if tasks_alive() != tasks:
        yield f"{tasks_alive()} tasks are alive after the end, and {tasks} should be"
    if deadlines_set() != deadlines:
        yield f"{deadlines_set()} deadlines are set after the end, and {deadlines} should be"
    yield from history(world)


def history(world: World) -> Iterator[str]:
    """Order, one at a time, and as many runs as outcomes say."""
    for name, place in world.places.items():
        notes = world.attempts.get(name, [])
        mine = [receipt for receipt, targets in world.accepted if name in targets]
        again = {id for id, count in Counter(receipt.id for receipt in mine).items() if count > 1}
        number = {receipt.id: at for at, receipt in enumerate(mine)}
        starts = [each.event for each in notes if each.kind == "start"]
        orderly = [e for e in starts if e.delay is None and e.id not in again and not e.name.startswith(PROBE)]
        for key in {event.key for event in orderly}:
            lane = [number[event.id] for event in orderly if event.key == key and event.priority == "default"]
            if (key is not None or place.ordered) and lane != sorted(lane):
                yield f"{name} handled those of key {key!r} in the order {lane}"
        running: list[Any] = []
        for note in notes:
            if note.kind == "start":
                same = [each for each in running if each.key is not None and each.key == note.event.key]
                if not place.batch and (same or len(running) >= place.concurrency):
                    yield f"{name} handled {note.event.id} while it had {[each.id for each in running]}"
                running.append(note.event)
            else:
                running.remove(note.event)
        yield from _runs(world, name)


def _runs(world: World, name: str) -> Iterator[str]:
    notes = world.attempts.get(name, [])
    done = Counter(each.event.id for each in notes if each.kind == "ok")
    succeeded = Counter(
        receipt.id
        for receipt, targets in world.accepted
        if name in targets
        for outcome in receipt.report().outcomes
        if outcome.subscription == name and isinstance(outcome, Succeeded)
    )
    if world.places[name].once and done != succeeded:
        yield f"{name} handled {dict(done)} to the end, and {dict(succeeded)} have succeeded"
    if not set(succeeded) <= set(done):
        yield f"{name} reports a success of what it never handled: {set(succeeded) - set(done)}"
