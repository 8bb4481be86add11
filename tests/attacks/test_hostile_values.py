"""Promise 10: a clear error at the door, also for values that answer unlike others: found by `python -m tests.fuzz`."""

import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pytest

from postroom import (
    Actor,
    BatchFailure,
    Event,
    Failed,
    InvalidEventType,
    InvalidHandler,
    InvalidOption,
    NotPortable,
    PostroomError,
    Rate,
    Runtime,
    Siblings,
    Supervision,
    UnknownDeadLetter,
    UnreadableEvent,
    event_type,
    on,
    subscriber,
)
from postroom.portable import portable_copy

pytestmark = pytest.mark.anyio


class Broken:
    """Raises at whatever it is asked."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __call__(self, event: Event) -> None: ...


class BrokenText(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __getitem__(self, index: object) -> str:
        raise RuntimeError("getitem")

    def encode(self, *arguments: object, **options: object) -> bytes:
        raise RuntimeError("encode")


class BrokenInt(int):
    def __lt__(self, other: object) -> bool:
        raise RuntimeError("lt")

    def __ge__(self, other: object) -> bool:
        raise RuntimeError("ge")


class BrokenFloat(float):
    def __ge__(self, other: object) -> bool:
        raise RuntimeError("ge")

    def __float__(self) -> float:
        raise RuntimeError("float")


class BrokenMapping(Mapping[Any, Any]):
    def __getitem__(self, key: object) -> Any:
        raise RuntimeError("getitem")

    def __iter__(self) -> Iterator[Any]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class Till(Actor):
    @on("n")
    async def handle(self, event: Event) -> None: ...


async def handler(event: Event) -> None: ...


def anything(value: object) -> Any:
    """A value as its type hides it from a type checker."""
    return value


@pytest.mark.parametrize(
    "ask",
    [
        lambda: subscriber("n", overflow=anything(Broken()))(handler),
        lambda: subscriber("n", overflow=anything(BrokenText("wait")))(handler),
        lambda: subscriber("n", capacity=BrokenInt(3))(handler),
        lambda: subscriber("n", timeout=BrokenFloat(3))(handler),
        lambda: Rate(BrokenInt(3)),
        lambda: Supervision(default=anything(Broken())),
        lambda: Supervision(on=BrokenMapping()),
        lambda: BatchFailure(BrokenMapping()),
        lambda: Siblings([Till], strategy=anything(Broken())),
        lambda: Siblings(anything(1)),
        lambda: Runtime(subscribers=anything(1)),
        lambda: Runtime(interceptors=anything(1)),
    ],
)
async def test_a_value_that_can_not_be_looked_at_is_an_invalid_option(ask: Callable[[], object]) -> None:
    with pytest.raises(InvalidOption):
        ask()


async def test_more_workers_than_tasks_can_be_are_refused() -> None:
    with pytest.raises(InvalidOption, match="at most 10000"):
        subscriber("n", concurrency=2**40)(handler)


class Unsigned:
    """A callable whose parameters can't be read."""

    @property
    def __signature__(self) -> Any:
        raise RuntimeError("a")

    def __call__(self, event: Event) -> None: ...


# From Python 3.13 on `inspect` passes over what is broken in the other one.
@pytest.mark.parametrize("broken", [Unsigned, *([Broken] if sys.version_info < (3, 13) else [])])
async def test_a_handler_that_can_not_be_looked_at_is_refused(broken: Any) -> None:
    with pytest.raises(InvalidHandler):
        subscriber("n", name="n")(broken())


@pytest.mark.parametrize("arguments", [("order.*",), ([0] * 100_000,), (Broken(),)], ids=["pattern", "list", "object"])
async def test_arguments_that_an_actor_does_not_take_are_told_of_briefly(arguments: tuple[Any, ...]) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidHandler, match="too many positional arguments") as refused:
            await runtime.spawn(Till, *arguments)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("option", ["priority", "key", "id", "delay", "timeout", "attempts", "headers"])
@pytest.mark.parametrize("value", [Broken(), BrokenFloat(1), BrokenInt(1)], ids=["object", "float", "int"])
async def test_an_option_of_an_emit_that_can_not_be_looked_at_is_an_invalid_option(option: str, value: Any) -> None:
    options: Any = {option: value}
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption):
            await runtime.emit("n", **options)
        with pytest.raises(InvalidOption):
            await runtime.emit(Event("n", **options))
        assert runtime.stats.accepted == 0


async def test_the_id_of_a_group_is_its_text_alone() -> None:
    id = BrokenText("g")
    async with Runtime() as runtime:
        await runtime.emit("n", group=id)
        async with runtime.group(id) as group:
            await group.emit("n")
            assert await runtime.clear_group(id) == 2
        assert await runtime.release_group(id) == []


async def test_events_that_are_no_list_of_them_are_an_invalid_option() -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption):
            await runtime.emit_many(anything(1))


@pytest.mark.parametrize("letter", [1, None, Broken()], ids=["number", "none", "object"])
async def test_what_is_no_dead_letter_is_an_invalid_option(letter: Any) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidOption):
            await runtime.dead_letters.replay(letter)
        with pytest.raises(InvalidOption):
            await runtime.dead_letters.discard(letter)
        with pytest.raises(UnknownDeadLetter) as unknown:
            await runtime.dead_letters.discard("x" * 100_000)
        with pytest.raises(InvalidOption):
            await runtime.dead_letters.list(letter, limit=anything(letter))
        with pytest.raises(InvalidOption):
            await runtime.dead_letters.list(after="the first")
        assert await runtime.dead_letters.list(limit=2**70) == ()
    assert len(str(unknown.value)) < 1000


@pytest.mark.parametrize(
    "value", [Broken(), BrokenText("a" * 300), 10**5000, [[1]] * 100_000], ids=["object", "text", "int", "list"]
)
async def test_an_error_shows_what_it_refuses_briefly_and_whatever_that_is(value: Any) -> None:
    with pytest.raises(PostroomError) as refused:
        await Runtime().spawn(handler, value)
    for error in (refused.value, InvalidOption("option", value, "is bad"), InvalidHandler(value, "is bad")):
        assert len(str(error)) < 1000
        assert len(repr(error)) < 1000


@attrs.define
class Unreadable:
    a: int = 1

    def __getattribute__(self, name: str) -> Any:
        if name == "a":
            raise RuntimeError("a")
        return object.__getattribute__(self, name)


# From Python 3.13 on it says so where msgspec looks for an attribute whose property raises.
@pytest.mark.filterwarnings("ignore:Exception ignored in PyObject_HasAttr:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "data",
    [Unreadable(), BrokenText("n"), ["a", BrokenText("n")], BrokenInt(1), Broken()],
    ids=["property", "text", "list", "int", "object"],
)
async def test_a_payload_that_can_not_be_looked_at_is_not_portable(data: Any) -> None:
    with pytest.raises(NotPortable):
        portable_copy(data)


async def test_a_payload_that_is_far_too_large_is_refused_by_its_size_alone() -> None:
    """Not after a look at each of its values, in which nothing else would run."""
    with pytest.raises(NotPortable, match="bytes as JSON"):
        portable_copy([*range(2_000_000), (1, 2)])  # the last one would else be told of, with its path


async def test_data_that_can_not_be_looked_through_for_an_upcast_is_unreadable() -> None:
    class Sealed(list[int]):
        def __iter__(self) -> Iterator[int]:
            raise RuntimeError("iter")

    @event_type("typed", version=2, upcast={1: dict})
    @attrs.frozen
    class Typed:
        count: int

    async def read(event: Typed) -> None: ...

    read.__annotations__["event"] = Typed
    async with Runtime() as runtime:
        await runtime.spawn(read, "typed")
        [outcome] = (await runtime.emit_and_wait("typed", Sealed([1]))).outcomes
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, UnreadableEvent)


async def test_data_that_is_too_deep_for_an_upcast_is_unreadable_and_takes_little_memory() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    asked = sys.getsizeof(deep) * 5000

    @event_type("typed", version=2, upcast={1: dict})
    @attrs.frozen
    class Typed:
        count: int

    async def read(event: Typed) -> None: ...

    read.__annotations__["event"] = Typed
    async with Runtime() as runtime:
        await runtime.spawn(read, "typed")
        tracemalloc.start()
        try:
            [outcome] = (await runtime.emit_and_wait("typed", deep)).outcomes
            assert tracemalloc.get_traced_memory()[1] < asked
        finally:
            tracemalloc.stop()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, UnreadableEvent)
    assert "nested deeper than 64 levels" in str(outcome.exception)


async def test_an_event_type_that_can_not_be_is_told_of_briefly() -> None:
    with pytest.raises(InvalidEventType) as refused:
        event_type("n")(attrs.make_class("Odd", {"a": attrs.field(type=anything([0] * 100_000))}))
    assert len(str(refused.value)) < 1000
    with pytest.raises(InvalidEventType) as refused:
        event_type("n", version=10**5000)
    assert len(str(refused.value)) < 1000
