"""Goal S2: every limit, one below, at, and one above it. Alone: `pytest -m limits`."""

from collections.abc import Callable
from typing import Any

import anyio
import attrs
import msgspec
import pytest

from postroom import (
    CausationTooDeep,
    Context,
    Event,
    Failed,
    GroupFull,
    InvalidEventType,
    InvalidName,
    InvalidOption,
    MailboxFull,
    NotPortable,
    PostroomError,
    Receipt,
    Runtime,
    UnreadableEvent,
    event_type,
    subscriber,
)
from postroom.deduplication import Deduplication
from postroom.dispatcher import MOST_DELAYED
from postroom.nesting import DEEPEST
from postroom.portable import LARGEST
from postroom.staging import MOST_STAGED
from postroom.subscriber import MOST_WORKERS

pytestmark = [pytest.mark.anyio, pytest.mark.limits]

AROUND = pytest.mark.parametrize("more", [-1, 0, 1])


async def nothing(event: Event) -> None: ...


async def accepts(runtime: Runtime, refused: type[PostroomError], *ask: Any, **options: Any) -> bool:
    """Whether each way of an emit takes it; all of them must do the same, and what is refused leaves nothing."""
    before = runtime.stats.accepted
    event = Event(*ask, **options)
    took: list[bool] = []
    for call in (
        lambda: runtime.emit(event),
        lambda: runtime.emit(*ask, **options),
        lambda: runtime.emit_many([Event("fine"), event]),
        lambda: runtime.emit_and_wait(event),
    ):
        try:
            await call()
            took.append(True)
        except refused:
            took.append(False)
    try:
        runtime.emit_nowait(event)
        took.append(True)
    except refused:
        took.append(False)
    assert len(set(took)) == 1
    assert took[0] or runtime.stats.accepted == before
    return took[0]


def text_of(size: int) -> str:
    """A payload of this size as JSON."""
    return "x" * (size - 2)


def list_of(size: int) -> list[str]:
    return ["x" * (size - 4)]


def wide_text_of(size: int) -> str:
    """Bytes are counted, not characters."""
    return "é" * (size // 2 - 2) + "x" * (2 + size % 2)


@AROUND
@pytest.mark.parametrize("make", [text_of, list_of, wide_text_of])
async def test_a_payload_has_at_most_a_mebibyte_where_it_must_be_portable(
    make: Callable[[int], Any], more: int
) -> None:
    data = make(LARGEST + more)
    assert len(msgspec.json.encode(data)) == LARGEST + more == 1024 * 1024 + more
    async with Runtime(portable=True) as runtime:
        assert await accepts(runtime, NotPortable, "n", data) is (more <= 0)


@AROUND
async def test_an_interceptor_makes_no_payload_larger_than_that(more: int) -> None:
    def enlarge(event: Event) -> Event | None:
        return msgspec.structs.replace(event, data=text_of(LARGEST + more)) if event.name == "n" else None

    async with Runtime(portable=True, interceptors=[enlarge]) as runtime:
        assert await accepts(runtime, NotPortable, "n", 1) is (more <= 0)


@attrs.frozen
class Box:
    inner: Any


def lists(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def mappings(depth: int) -> Any:
    value: Any = {}
    for number in range(depth - 1):
        value = {"a": value, "b": number}
    return value


def record(depth: int) -> Any:
    return Box(lists(depth - 1))


@AROUND
@pytest.mark.parametrize("make", [lists, mappings, record])
async def test_a_payload_is_at_most_64_deep_where_it_must_be_portable(make: Callable[[int], Any], more: int) -> None:
    async with Runtime(portable=True) as runtime:
        assert await accepts(runtime, NotPortable, "n", make(DEEPEST + more)) is (more <= 0)
    assert DEEPEST == 64


@AROUND
@pytest.mark.parametrize("names", [1, 10])
async def test_headers_have_at_most_8_kib_together(names: int, more: int) -> None:
    size = 8 * 1024 + more
    headers = {f"é{number}": "" for number in range(names)}
    used = sum(len(name.encode()) for name in headers)
    headers["é0"] = "x" * (size - used)
    async with Runtime() as runtime:
        assert await accepts(runtime, InvalidOption, "n", None, headers=headers) is (more <= 0)


@event_type("versioned", version=2)
@attrs.frozen
class Versioned:
    count: int


@AROUND
async def test_headers_have_at_most_8_kib_with_the_version_of_a_typed_event(more: int) -> None:
    headers = {"a": "x" * (8 * 1024 - 1 - len("postroom-version2") + more)}
    async with Runtime() as runtime:
        ask: list[Callable[[], Any]] = [
            lambda: runtime.emit(Versioned(1), headers=headers),
            lambda: runtime.emit(Event("versioned", Versioned(1), headers=headers)),
        ]
        for call in ask:
            if more <= 0:
                await call()
            else:
                with pytest.raises(InvalidOption):
                    await call()
        assert runtime.stats.accepted == (2 if more <= 0 else 0)


@AROUND
async def test_an_interceptor_makes_no_headers_larger_than_that(more: int) -> None:
    def enlarge(event: Event) -> Event | None:
        changed = {"a": "x" * (8 * 1024 - 1 + more)}
        return msgspec.structs.replace(event, headers=changed) if event.name == "n" else None

    async with Runtime(interceptors=[enlarge]) as runtime:
        assert await accepts(runtime, PostroomError, "n", 1) is (more <= 0)


@AROUND
@pytest.mark.parametrize("tokens", [1, 2, 100])
async def test_a_name_has_at_most_200_characters(tokens: int, more: int) -> None:
    name = ".".join(["a"] * (tokens - 1) + [""])
    name += "b" * (200 + more - len(name))
    async with Runtime() as runtime:
        await runtime.spawn(nothing, "**")
        assert await accepts(runtime, InvalidName, name) is (more <= 0)


@AROUND
@pytest.mark.parametrize("what", ["pattern", "name"])
async def test_a_pattern_and_the_name_of_a_subscription_have_at_most_200_characters(what: str, more: int) -> None:
    text = "a" * (200 + more)
    pattern, name = (f"{text[2:]}.*", "n") if what == "pattern" else ("n", text)
    async with Runtime() as runtime:
        if more <= 0:
            await runtime.spawn(nothing, pattern, name=name)
        else:
            with pytest.raises(InvalidName):
                await runtime.spawn(nothing, pattern, name=name)
        assert len(runtime.subscriptions) == (1 if more <= 0 else 0)


@AROUND
@pytest.mark.parametrize("option", ["key", "id"])
@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
async def test_a_key_and_an_id_have_at_most_200_characters(option: str, letter: str, more: int) -> None:
    async with Runtime() as runtime:
        await runtime.spawn(nothing, "**", concurrency=2)
        options = {option: letter * (200 + more)}
        assert await accepts(runtime, InvalidOption, "n", None, **options) is (more <= 0)


@AROUND
async def test_the_id_of_a_group_has_at_most_200_characters(more: int) -> None:
    id = "é" * (200 + more)
    async with Runtime() as runtime:
        asked: list[Callable[[], Any]] = [
            lambda: runtime.emit("n", group=id),
            lambda: runtime.release_group(id),
            lambda: runtime.clear_group(id),
            lambda: runtime.group(id).__aenter__(),
        ]
        for ask in asked:
            if more <= 0:
                await ask()
            else:
                with pytest.raises(InvalidOption):
                    await ask()


@pytest.mark.parametrize("option", ["key", "id", "group"])
async def test_a_key_or_an_id_that_no_encoding_can_carry_is_refused(option: str) -> None:
    options: Any = {option: "a\ud800"}
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption, match="lone surrogate"):
            await runtime.emit("n", **options)


@AROUND
async def test_a_chain_of_causes_has_at_most_64_events_behind_the_first(more: int) -> None:
    refused: list[CausationTooDeep] = []

    async def again(event: Event, context: Context) -> None:
        if event.depth < 64 + more:
            try:
                await context.emit("n")
            except CausationTooDeep as error:
                refused.append(error)

    async with Runtime() as runtime:
        await runtime.spawn(again, "n")
        await runtime.emit("n")
        await runtime.idle()
        assert runtime.stats.accepted == 65 + min(more, 0)
    assert len(refused) == (1 if more > 0 else 0)


@pytest.mark.slow
@AROUND
async def test_a_group_holds_at_most_10000_events(more: int) -> None:
    async with Runtime() as runtime:
        for _ in range(9999):
            runtime.emit_nowait("n", group="g")
        for _ in range(1 + min(more, 0)):
            await runtime.emit("n", group="g")
        if more > 0:
            with pytest.raises(GroupFull):
                await runtime.emit("n", group="g")
        assert runtime.stats.staged == MOST_STAGED + min(more, 0) == 10_000 + min(more, 0)


@pytest.mark.slow
@AROUND
async def test_at_most_10000_deliveries_are_delayed(more: int) -> None:
    async with Runtime(drain_within=0) as runtime:
        await runtime.spawn(nothing, "n")
        for _ in range(MOST_DELAYED - 1):
            runtime.emit_nowait("n", delay=1000)
        for _ in range(1 + min(more, 0)):
            runtime.emit_nowait("n", delay=1000)
        if more > 0:
            with pytest.raises(MailboxFull):
                runtime.emit_nowait("n", delay=1000)
        assert runtime.stats.pending == 10_000 + min(more, 0)


@AROUND
async def test_at_most_1000_dead_letters_are_kept(more: int) -> None:
    async def fail(event: Event) -> None:
        raise ValueError

    async with Runtime() as runtime:
        await runtime.spawn(fail, "n", quiet=True)
        for number in range(1000 + more):
            await runtime.emit("n", number)
        await runtime.idle()
        letters = await runtime.dead_letters.list(limit=2000)
        assert len(letters) == min(1000, 1000 + more)
        assert runtime.dead_letters.evicted == max(0, more)
        assert letters[-1].event.data == 999 + more


@AROUND
async def test_an_id_is_remembered_for_10_minutes(more: int) -> None:
    async with Runtime() as runtime:
        first = await runtime.emit("n", id="same")
        await anyio.sleep(600 + more)
        assert (await runtime.emit("n", id="same") is first) is (more < 0)


@pytest.mark.slow
@AROUND
def test_at_most_100000_ids_are_remembered(more: int) -> None:
    known = Deduplication()
    receipt = Receipt(Event("n"), ())
    for number in range(100_000 + more):
        known.remember(Event("n", id=str(number)), receipt, 0.0)
    assert (known.find(Event("n", id="0"), 0.0) is receipt) is (more <= 0)
    assert len(known) == min(100_000, 100_000 + more)


@AROUND
async def test_a_subscription_has_at_most_10000_workers(more: int) -> None:
    if more <= 0:
        subscriber("n", concurrency=MOST_WORKERS + more)(nothing)
    else:
        with pytest.raises(InvalidOption):
            subscriber("n", concurrency=MOST_WORKERS + more)(nothing)


@pytest.mark.parametrize(("version", "reads"), [("1", True), ("2", True), ("3", False), ("0", False)])
async def test_a_version_that_nobody_knows_is_unreadable(version: str, reads: bool) -> None:
    """What a handler reads was perhaps written by another release: the header is checked where it is read."""

    @event_type("n", version=2, upcast={1: dict})
    @attrs.frozen
    class Typed:
        count: int

    async def read(event: Any) -> None: ...

    read.__annotations__["event"] = Typed
    async with Runtime() as runtime:
        await runtime.spawn(read, "n")
        report = await runtime.emit_and_wait("n", {"count": 1}, headers={"postroom-version": version})
    [outcome] = report.outcomes
    assert isinstance(outcome, Failed) is not reads
    if isinstance(outcome, Failed):
        assert isinstance(outcome.exception, UnreadableEvent)


@AROUND
async def test_a_version_has_at_most_nine_digits(more: int) -> None:
    version = 10**9 - 1 + more
    made = attrs.make_class("Made", {"count": attrs.field(type=int)})
    if more <= 0:
        event_type("n", version=version)(made)
    else:
        with pytest.raises(InvalidEventType):
            event_type("n", version=version)(made)
