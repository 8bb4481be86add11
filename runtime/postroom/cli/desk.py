"""The desk: what an operator may ask of a runtime, with answers that are plain data.

The same questions are answered in this process, by a runtime that was opened on a store, and in the process of a
service, over its control socket. So every answer is what JSON can carry, with the same keys either way.

Units: seconds; times since the epoch.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import attrs
import msgspec

from ..dead_letters import DeadLetter
from ..errors import Rejected, UnknownDeadLetter, UnknownSubscription
from ..event import Event
from ..local import Local
from ..outcomes import Failed, Outcome, Report, Succeeded
from ..quoting import quoted
from ..runtime import Runtime
from ..store_errors import StillServed
from . import runs
from .meter import Meter

TAIL: Final = "postroom-tail-"
"""How the names of subscriptions begin that `tail` makes and removes."""

TAIL_KEEPS: Final = 1000
"""Events that wait for somebody who tails; older ones go."""

GONE_WITHIN: Final = 2.0
"""For taking a temporary subscription away."""


@attrs.define
class UnknownQuestion(Rejected):
    """The desk does not know what it was asked: the other side is of another release."""

    what: str

    def __str__(self) -> str:
        return f"the service does not know {quoted(self.what)}, or not with these arguments: it is of another release"


@attrs.frozen(eq=False)
class Desk:
    """Answers questions about one runtime.

    Attributes:
        meter: What knows how long attempts take; None where nobody measures.
    """

    runtime: Runtime
    meter: Meter | None = None

    @property
    def is_local(self) -> bool:
        """Whether the events are in this process's memory alone."""
        return isinstance(self.runtime.module, Local)

    async def ask(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """One answer.

        Raises:
            UnknownQuestion: there is none.
            PostroomError: what was asked for can't be done.

        Cancellation: as of what was asked for.
        """
        question = QUESTIONS.get(what)
        if question is None:
            raise UnknownQuestion(what)
        try:
            call = question(self, **arguments)
        except TypeError as error:
            raise UnknownQuestion(what) from error
        return await call

    @asynccontextmanager
    async def tail(self, pattern: str) -> AsyncIterator[AsyncIterator[Any]]:
        """A block with the events that match, from now on.

        They come by a subscription that is made for the block. On a store it is one as any other: what an emitter
        awaits waits for it, too.

        Raises:
            InvalidName: the pattern is none.

        Cancellation: the subscription is removed.
        """
        send, receive = anyio.create_memory_object_stream[Event](0)

        async def show(event: Event) -> None:
            await send.send(event)

        await self._sweep()
        name = f"{TAIL}{os.getpid()}-{os.urandom(4).hex()}"
        subscription = await self.runtime.spawn(
            show, pattern, name=name, capacity=TAIL_KEEPS, overflow="drop_oldest", quiet=True
        )
        try:
            with send, receive:
                yield (event_as_data(event) async for event in receive)
        finally:
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + GONE_WITHIN):
                await subscription.stop(drain=False)
                if not self.is_local:
                    await self.runtime.remove_subscription(name)

    async def _sweep(self) -> None:
        """Remove what a tail that was killed has left behind."""
        if self.is_local:
            return
        for each in await self.runtime.stored_subscriptions():
            if each.name.startswith(TAIL) and not each.served_by:
                try:
                    await self.runtime.remove_subscription(each.name)
                except (UnknownSubscription, StillServed):
                    continue  # somebody else was faster


# Events


async def emit(
    desk: Desk,
    *,
    name: str,
    data: Any,
    key: str | None,
    headers: Mapping[str, str],
    id: str | None,
    delay: float | None,
    priority: str | None,
    require: bool,
    wait: float | None,
) -> dict[str, Any]:
    wanted: dict[str, Any] = {"key": key, "id": id, "delay": delay, "priority": priority}
    options = {option: value for option, value in wanted.items() if value is not None}
    receipt = await desk.runtime.emit(name, data, headers=headers, require=require, **options)
    return await _awaited(receipt, wait)


async def _awaited(receipt: Any, wait: float | None) -> dict[str, Any]:
    report: Report | None = None
    if wait is not None:
        with anyio.move_on_after(wait):
            report = await receipt
    return {
        "id": receipt.id,
        "settled": report is not None,
        "succeeded": None if report is None else report.succeeded,
        "outcomes": None if report is None else [outcome_as_data(each) for each in report.outcomes],
    }


# Dead letters


async def letters(desk: Desk, *, subscription: str | None, after: str | None, limit: int) -> list[dict[str, Any]]:
    found = await desk.runtime.dead_letters.list(subscription, after=after, limit=limit)
    return [letter_as_data(each) for each in found]


async def letter(desk: Desk, *, id: str) -> dict[str, Any]:
    return letter_as_data(await _find(desk, id))


async def _find(desk: Desk, id: str) -> DeadLetter:
    """A letter by its id: the first one after the id before it."""
    if not (id.isascii() and id.isdigit() and len(id) <= 20) or int(id) == 0:
        raise UnknownDeadLetter(id)
    before = str(int(id) - 1).zfill(len(id)) if len(id) == 20 else str(int(id) - 1)
    found = await desk.runtime.dead_letters.list(after=before, limit=1)
    if not found or found[0].id != id:
        raise UnknownDeadLetter(id)
    return found[0]


async def replay(desk: Desk, *, id: str, wait: float | None) -> dict[str, Any]:
    found = await _find(desk, id)
    return {"letter": id, "subscription": found.subscription} | await _awaited(
        await desk.runtime.dead_letters.replay(found), wait
    )


async def discard(desk: Desk, *, id: str) -> dict[str, Any]:
    await desk.runtime.dead_letters.discard(id)
    return {"letter": id, "discarded": True}


# Subscriptions


async def subscriptions(desk: Desk) -> list[dict[str, Any]]:
    if not desk.is_local:
        return [
            {
                "name": each.name,
                "patterns": list(each.patterns),
                "waiting": each.waiting,
                "delayed": each.delayed,
                "in_hand": each.lent,
                "dead": each.dead,
                "paused": each.paused,
                "served_by": list(each.served_by),
            }
            for each in await desk.runtime.stored_subscriptions()
        ]
    dead: dict[str, int] = {}
    for kept in await desk.runtime.dead_letters.list():
        dead[kept.subscription] = dead.get(kept.subscription, 0) + 1
    return [
        {
            "name": each.name,
            "patterns": list(each.patterns),
            "waiting": each.mailbox.length + each.mailbox.in_line,
            "delayed": each.scheduled,
            "in_hand": len(each.in_hand),
            "dead": dead.get(each.name, 0),
            "paused": each.stats.paused,
            "served_by": [f"process {os.getpid()}"],
        }
        for each in desk.runtime.snapshot().subscriptions
    ]


async def pause(desk: Desk, *, name: str) -> dict[str, Any]:
    return await _set_paused(desk, name, True)


async def resume(desk: Desk, *, name: str) -> dict[str, Any]:
    return await _set_paused(desk, name, False)


async def _set_paused(desk: Desk, name: str, paused: bool) -> dict[str, Any]:
    runtime = desk.runtime
    if not desk.is_local:
        await (runtime.pause_subscription(name) if paused else runtime.resume_subscription(name))
    elif (own := runtime.subscriptions.get(name)) is None:
        raise UnknownSubscription(name)
    else:
        await (own.pause() if paused else own.resume())
    return {"name": name, "paused": paused}


async def remove(desk: Desk, *, name: str) -> dict[str, Any]:
    if desk.is_local:
        raise StillServed(name) if name in desk.runtime.subscriptions else UnknownSubscription(name)
    return {"name": name, "cancelled": await desk.runtime.remove_subscription(name)}


# Groups


async def groups(desk: Desk, *, limit: int) -> list[dict[str, Any]]:
    found = await desk.runtime.staged_groups(limit=limit)
    return [{"id": each.id, "events": each.events, "expires_in": each.expires_in} for each in found]


async def release(desk: Desk, *, id: str) -> dict[str, Any]:
    receipts = await desk.runtime.release_group(id)
    return {"group": id, "released": [receipt.id for receipt in receipts]}


async def clear(desk: Desk, *, id: str, names: Sequence[str] | None) -> dict[str, Any]:
    return {"group": id, "cleared": await desk.runtime.clear_group(id, names=names or None)}


# Seeing


async def top(desk: Desk) -> dict[str, Any]:
    """What there is to see at one moment. Rates are for whoever has two of them."""
    if desk.meter is None:
        rows = await subscriptions(desk)
        return {"source": "store", "process": None, "stopwatch": anyio.current_time(), "subscriptions": rows}
    shot = desk.runtime.snapshot()
    rows = []
    for each in shot.subscriptions:
        half, most = desk.meter.percentiles(each.name)
        rows.append(
            {
                "name": each.name,
                "patterns": list(each.patterns),
                "mailbox": each.mailbox.length + each.mailbox.in_line,
                "capacity": each.mailbox.capacity,
                "in_hand": len(each.in_hand),
                "handled": each.stats.succeeded + each.stats.failed,
                "failures": each.stats.failed,
                "retries": each.stats.retried,
                "restarts": each.stats.restarts,
                "p50": half,
                "p99": most,
                "paused": each.stats.paused,
                "stuck": each.stats.stuck,
            }
        )
    return {
        "source": "process",
        "process": os.getpid(),
        "state": shot.state,
        "stopwatch": shot.stopwatch,
        "subscriptions": rows,
    }


QUESTIONS: Final[Mapping[str, Callable[..., Awaitable[Any]]]] = {
    "emit": emit,
    "letters": letters,
    "letter": letter,
    "replay": replay,
    "discard": discard,
    "subscriptions": subscriptions,
    "pause": pause,
    "resume": resume,
    "remove": remove,
    "groups": groups,
    "release": release,
    "clear": clear,
    "top": top,
    "runs": lambda desk, **options: runs.listing(desk.runtime, **options),
    "run": lambda desk, **options: runs.one(desk.runtime, **options),
    "cancel_run": lambda desk, **options: runs.cancel(desk.runtime, **options),
    "resume_run": lambda desk, **options: runs.resume(desk.runtime, **options),
    "export_runs": lambda desk, **options: runs.export(desk.runtime, **options),
}


# Values as plain data


def plain(value: Any) -> Any:
    """A value as JSON can carry it; what it can't is quoted."""
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=quoted)
    except Exception:  # keys that are no texts, a property that raises
        return quoted(value)


def event_as_data(event: Event) -> dict[str, Any]:
    """An event."""
    return {
        "id": event.id,
        "name": event.name,
        "key": event.key,
        "time": event.time,
        "accepted_at": event.accepted_at,
        "priority": event.priority,
        "cause": event.cause,
        "headers": dict(event.headers),
        "data": plain(event.data),
    }


def letter_as_data(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter."""
    return {
        "id": letter.id,
        "time": letter.time,
        "subscription": letter.subscription,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "traceback": letter.traceback,
        "event": event_as_data(letter.event),
        "raw": None if letter.raw is None else letter.raw.decode("utf-8", "backslashreplace"),
    }


def outcome_as_data(outcome: Outcome) -> dict[str, Any]:
    """How a delivery has ended."""
    told: dict[str, Any] = {
        "subscription": outcome.subscription,
        "outcome": type(outcome).__name__.lower(),
        "attempts": outcome.attempts,
        "seconds": outcome.seconds,
    }
    match outcome:
        case Succeeded(value=value):
            return told | {"value": plain(value)}
        case Failed(exception=exception):
            return told | {"reason": str(exception)}
        case _:  # dropped, expired or cancelled
            return told | {"reason": outcome.reason}
