"""The doors of an open runtime: emits and all other calls of it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

import anyio
import attrs
import msgspec

from postroom import Event, Failed, Report, Runtime, Succeeded, UnreadableEvent, event_type

from . import options
from .nasties import IterationFault, nasty, tree
from .options import Given, some


@event_type("typed", version=2, upcast={1: lambda data: {"count": data["n"], "lines": []}})
@attrs.frozen
class Typed:
    """A typed event with an old version."""

    count: int
    lines: list[str]
    inner: "Inner | None" = None


@attrs.frozen
class Inner:
    """Something in it."""

    value: float


@attrs.frozen
class OpenDoor:
    """A call of an open runtime; as `doors.Door`."""

    name: str
    draw: Callable[[Random], Given]
    call: Callable[[Runtime, Given], Awaitable[Any]]
    may_raise: tuple[type[BaseException], ...] = ()


async def read_typed(event: Typed) -> int:
    """The handler of typed events."""
    assert isinstance(event, Typed)
    assert isinstance(event.count, int)
    return event.count


def _emit(random: Random) -> Given:
    given = some(random, options.EMIT, unknown=True)
    given["name"] = options.NAME(random) if random.random() < 0.7 else nasty(random)
    given["data"] = random.choice((None, 1, {"a": 1}, tree(random), nasty(random)))
    return given


async def _call_emit(runtime: Runtime, given: Given) -> None:
    await runtime.emit(**given)


async def _call_emit_and_wait(runtime: Runtime, given: Given) -> None:
    with anyio.move_on_after(1000):
        await runtime.emit_and_wait(**given)


async def _call_emit_nowait(runtime: Runtime, given: Given) -> None:
    runtime.emit_nowait(**given)


def _event(random: Random) -> Given:
    return {"event": some(random, options.EVENT, always=("name",)), "options": some(random, options.EMIT)}


async def _call_emit_event(runtime: Runtime, given: Given) -> None:
    await runtime.emit(Event(**given["event"]), **given["options"])


def _events(random: Random) -> Given:
    events = [Event(**some(random, options.EVENT, always=("name",))) for _ in range(random.randrange(4))]
    if random.random() < 0.3:
        return {"events": nasty(random)}
    return {"events": [*events, nasty(random)] if random.random() < 0.3 else events}


async def _call_emit_many(runtime: Runtime, given: Given) -> None:
    before = runtime.stats.accepted
    try:
        await runtime.emit_many(given["events"])
    except BaseException:
        assert runtime.stats.accepted == before, "some were accepted, and some not"
        raise


def _typed_data(random: Random) -> Given:
    data: Any = {"count": 1, "lines": ["a"], "inner": {"value": 1.5}}
    if random.random() < 0.3:
        data = {"n": 1}
    if random.random() < 0.7:
        data[random.choice(list(data))] = random.choice((nasty, tree))(random)
    headers = random.choice(({}, {"postroom-version": random.choice(("1", "2", "3", "x", "1\n", "9" * 20, "-1"))}))
    return {"data": random.choice((data, nasty(random))), "headers": headers}


async def _call_typed(runtime: Runtime, given: Given) -> None:
    """Data of any shape for a handler of typed events: it gets one, or the delivery fails as unreadable."""
    report: Report = await runtime.emit_and_wait("typed", given["data"], headers=given["headers"])
    for outcome in report.outcomes:
        if isinstance(outcome, Failed):
            assert isinstance(outcome.exception, UnreadableEvent), f"it failed with {outcome.exception!r}"
            assert len(str(outcome.exception)) < 5000, "its error is long"
        else:
            assert isinstance(outcome, Succeeded)


def _instance(random: Random) -> Given:
    fields = {"count": 1, "lines": ["a"], "inner": Inner(1.0)}
    fields[random.choice(list(fields))] = random.choice((nasty, tree))(random)
    return fields


async def _call_instance(runtime: Runtime, given: Given) -> None:
    await runtime.emit(Typed(**given))


def _spawn(random: Random) -> Given:
    given = some(random, options.SUBSCRIBER, always=("name",))
    given["handler"] = random.choice((options.handler, options.plain, options.declared, options.Till, nasty(random)))
    given["arguments"] = [random.choice((options.PATTERN, nasty))(random) for _ in range(random.randrange(3))]
    return given


async def _call_spawn(runtime: Runtime, given: Given) -> None:
    subscription = await runtime.spawn(given.pop("handler"), *given.pop("arguments"), **given)
    await subscription.stop(drain=False)


def _group(random: Random) -> Given:
    return some(random, {"id": options.one_of("g", None), "ttl": options.SECONDS})


async def _call_group(runtime: Runtime, given: Given) -> None:
    async with runtime.group(**given) as group:
        await group.emit("n")


def _names(random: Random) -> Given:
    return {"id": random.choice(("g", nasty(random))), "names": random.choice((None, ["n"], nasty(random)))}


async def _call_clear(runtime: Runtime, given: Given) -> None:
    await runtime.clear_group(given["id"], given["names"])


async def _call_release(runtime: Runtime, given: Given) -> None:
    await runtime.release_group(given["id"])


def _value(random: Random) -> Given:
    return {"value": nasty(random)}


async def _call_watch(runtime: Runtime, given: Given) -> None:
    async with runtime.watch(limit=given["value"]):
        pass


async def _call_recording(runtime: Runtime, given: Given) -> None:
    with runtime.recording(limit=given["value"]):
        pass


async def _call_supervise(runtime: Runtime, given: Given) -> None:
    await runtime.supervise(given["value"])


async def _call_replay(runtime: Runtime, given: Given) -> None:
    await runtime.dead_letters.replay(given["value"])


async def _call_discard(runtime: Runtime, given: Given) -> None:
    await runtime.dead_letters.discard(given["value"])


def _page(random: Random) -> Given:
    names = options.one_of(None, "n")
    return some(random, {"subscription": names, "after": options.one_of(None, "3"), "limit": options.COUNT})


async def _call_list(runtime: Runtime, given: Given) -> None:
    await runtime.dead_letters.list(**given)


async def _call_intercepted(runtime: Runtime, given: Given) -> None:
    """An interceptor that returns anything instead of an event."""
    with suppress(TypeError):
        given = {"changed": msgspec.structs.replace(Event("n"), **given["event"])}
    runtime.emit_nowait("intercepted", given)


OPEN_DOORS: Final = (
    OpenDoor("emit", _emit, _call_emit, (TypeError,)),
    OpenDoor("emit_and_wait", _emit, _call_emit_and_wait, (TypeError,)),
    OpenDoor("emit_nowait", _emit, _call_emit_nowait, (TypeError,)),
    OpenDoor("emit of an Event", _event, _call_emit_event),
    OpenDoor("emit_many", _events, _call_emit_many, (IterationFault,)),
    OpenDoor("data of a typed event", _typed_data, _call_typed),
    OpenDoor("a typed event", _instance, _call_instance),
    OpenDoor("spawn", _spawn, _call_spawn),
    OpenDoor("group", _group, _call_group),
    OpenDoor("clear_group", _names, _call_clear, (IterationFault,)),
    OpenDoor("release_group", _names, _call_release),
    OpenDoor("watch", _value, _call_watch),
    OpenDoor("recording", _value, _call_recording),
    OpenDoor("supervise", _value, _call_supervise),
    OpenDoor("replay", _value, _call_replay),
    OpenDoor("discard", _value, _call_discard),
    OpenDoor("list", _page, _call_list),
)
