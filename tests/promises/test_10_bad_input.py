"""Promise 10: bad input gets an error at the door that says what, why and what to do; nothing is half done."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from postroom import (
    Batch,
    DuplicateSubscription,
    Event,
    InvalidHandler,
    InvalidName,
    InvalidOption,
    NoSubscriber,
    PostroomError,
    Rejected,
    Retry,
    Runtime,
    RuntimeClosed,
    Subscriber,
    constant,
    exponential,
    subscriber,
)

NAN, INF = math.nan, math.inf


@subscriber("n", name="good")
async def good(event: Event) -> None: ...


async def handler(event: Event) -> None: ...


async def generator(event: Event) -> Any:
    yield 1


def plain_generator(event: Event) -> Any:
    yield 1


async def takes_nothing() -> None: ...


async def takes_three(one: Event, two: object, three: object) -> None: ...


async def takes_a_keyword(event: Event, *, keyword: str) -> None: ...


BAD_NAMES: list[Any] = [
    "", " ", "a b", "a.", ".a", "a..b", "é", "а", "a/b", "../a", "a\n", "a\x00",
    "a" * 201, "*", "a.*", 1, None, b"a", ["a"],
]  # fmt: skip
BAD_PATTERNS: list[Any] = ["", "a.**.b", "**.a", "a*", "***", "a.", "a b", "a" * 201, 1, None]
BAD_COUNTS: list[Any] = [0, -1, 1.5, "1", None, True, NAN]
BAD_SECONDS: list[Any] = [-1, NAN, "1", None, True]

BAD_OPTIONS: list[tuple[str, Any]] = [
    *(("key", value) for value in ("", "k" * 201, 1, b"k", ["k"])),
    *(("id", value) for value in ("", "k" * 201, 1, b"k")),
    *(("headers", value) for value in ("a", [("a", "b")], {"a": 1}, {1: "a"}, {"a": "b" * 8192}, {"a": "\ud800"})),
    *(("priority", value) for value in ("urgent", 1, "", ["high"])),
    *(("delay", value) for value in (NAN, INF, -INF, "1", True)),
    *(("expires_after", value) for value in (0, -1, NAN, "1", True)),
    *(("require", value) for value in (1, "yes")),
]

MADE: list[tuple[str, type[PostroomError], Callable[[], object]]] = [
    *((f"pattern {p!r:.20}", InvalidName, lambda p=p: subscriber(p)(handler)) for p in BAD_PATTERNS),
    *((f"name {n!r:.20}", InvalidName, lambda n=n: subscriber("n", name=n)(handler))
      for n in BAD_NAMES if n is not None),
    *((f"capacity {c!r}", InvalidOption, lambda c=c: subscriber("n", capacity=c)(handler)) for c in BAD_COUNTS),
    *((f"concurrency {c!r}", InvalidOption, lambda c=c: subscriber("n", concurrency=c)(handler)) for c in BAD_COUNTS),
    *((f"attempts {c!r}", InvalidOption, lambda c=c: Retry(attempts=c)) for c in BAD_COUNTS if c is not None),
    *((f"batch size {c!r}", InvalidOption, lambda c=c: Batch(size=c)) for c in BAD_COUNTS),
    *((f"batch within {s!r}", InvalidOption, lambda s=s: Batch(size=1, within=s)) for s in [*BAD_SECONDS, INF]),
    *((f"timeout {s!r}", InvalidOption, lambda s=s: subscriber("n", timeout=s)(handler))
      for s in [0, -1, NAN, "1", True]),
    *((f"overflow {o!r}", InvalidOption, lambda o=o: subscriber("n", overflow=o)(handler))
      for o in ["", "WAIT", None, 1]),
    *((f"retry {r!r}", InvalidOption, lambda r=r: subscriber("n", retry=r)(handler)) for r in [None, 3, Retry]),
    *((f"batch {b!r}", InvalidOption, lambda b=b: subscriber("n", batch=b)(handler)) for b in [3, Batch]),
    *((f"backoff {b!r}", InvalidOption, lambda b=b: Retry(backoff=b)) for b in [1.0, "fast"]),
    *((f"on {o!r}", InvalidOption, lambda o=o: Retry(on=o)) for o in [None, int, (ValueError, 1), "ValueError"]),
    *((f"constant {s!r}", InvalidOption, lambda s=s: constant(s)) for s in [*BAD_SECONDS, INF]),
    *((f"first {s!r}", InvalidOption, lambda s=s: exponential(s)) for s in [*BAD_SECONDS, INF]),
    *((f"limit {s!r}", InvalidOption, lambda s=s: exponential(1, limit=s)) for s in [*BAD_SECONDS, INF]),
    *((f"factor {f!r}", InvalidOption, lambda f=f: exponential(1, factor=f)) for f in [0.5, -1, NAN, INF, "2", None]),
    *((f"drain {s!r}", InvalidOption, lambda s=s: Runtime(drain_within=s)) for s in BAD_SECONDS),
    *((f"cleanup {s!r}", InvalidOption, lambda s=s: Runtime(cleanup_within=s)) for s in BAD_SECONDS),
    *((f"letters {c!r}", InvalidOption, lambda c=c: Runtime(dead_letter_limit=c)) for c in BAD_COUNTS),
    *((f"depth {c!r}", InvalidOption, lambda c=c: Runtime(causation_depth=c)) for c in BAD_COUNTS),
    ("no pattern", InvalidOption, lambda: subscriber()(handler)),
    ("subscribers", InvalidOption, lambda: Runtime(subscribers=[handler])),  # type: ignore[list-item]
    ("twice", DuplicateSubscription, lambda: Runtime(subscribers=[good, good])),
    ("a lambda without a name", InvalidHandler, lambda: subscriber("n")(lambda event: None)),
    *((f"handler {h!r:.20}", InvalidHandler, lambda h=h: Subscriber(handler=h, patterns=("n",), name="x"))
      for h in [None, 1, "handler", generator, plain_generator, takes_nothing, takes_three, takes_a_keyword]),
]  # fmt: skip


def says_what_and_why(error: PostroomError) -> bool:
    """Whether the text is one bounded line that people and terminals bear, and more than a class name."""
    text = str(error)
    return text.isprintable() and 20 < len(text) < 700


@pytest.mark.parametrize(("kind", "make"), [row[1:] for row in MADE], ids=[row[0] for row in MADE])
def test_what_can_be_known_when_it_is_made_is_refused_then(
    kind: type[PostroomError], make: Callable[[], object]
) -> None:
    with pytest.raises(kind) as refused:
        make()
    assert isinstance(refused.value, Rejected)
    assert says_what_and_why(refused.value)


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: repr(name)[:20])
async def test_a_bad_name_is_refused_by_every_kind_of_emit_and_nothing_is_accepted(name: Any) -> None:
    async with Runtime(subscribers=[good]) as runtime:
        for emit in (runtime.emit, runtime.emit_and_wait):
            with pytest.raises(InvalidName) as refused:
                await emit(name)
            assert says_what_and_why(refused.value)
        with pytest.raises(InvalidName):
            runtime.emit_nowait(name)
        with pytest.raises(InvalidName):
            await runtime.emit_many([Event("n"), Event(name)])
        assert runtime.stats.accepted == 0


@pytest.mark.parametrize(("option", "value"), BAD_OPTIONS, ids=lambda value: repr(value)[:20])
async def test_a_bad_option_is_refused_by_every_kind_of_emit_and_nothing_is_accepted(option: str, value: Any) -> None:
    options: Any = {option: value}
    async with Runtime(subscribers=[good]) as runtime:
        with pytest.raises(InvalidOption, match=option) as refused:
            await runtime.emit("n", **options)
        assert says_what_and_why(refused.value)
        with pytest.raises(InvalidOption, match=option):
            runtime.emit_nowait("n", **options)
        with pytest.raises(InvalidOption, match=option):
            await runtime.emit_and_wait("n", **options)
        assert runtime.stats.accepted == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option, value in BAD_OPTIONS if option != "require" and (option, value) != ("id", "")],
    ids=lambda value: repr(value)[:20],
)
async def test_a_bad_value_of_an_event_is_refused_with_its_position(option: str, value: Any) -> None:
    options: Any = {option: value}
    async with Runtime(subscribers=[good]) as runtime:
        with pytest.raises(InvalidOption, match=option) as refused:
            await runtime.emit_many([Event("n"), Event("n", **options)])
        assert "number 1" in refused.value.__notes__[0]
        assert runtime.stats.accepted == 0


async def test_options_that_nobody_knows_are_refused() -> None:
    options: Any = {"prority": "high"}
    async with Runtime(subscribers=[good]) as runtime:
        with pytest.raises(TypeError, match="prority"):
            await runtime.emit("n", **options)
        with pytest.raises(TypeError):
            await runtime.spawn(handler, "n", **options)
        assert runtime.stats.accepted == 0


async def test_data_beside_an_event_and_things_that_are_no_events_are_refused() -> None:
    things: Any = ["n"]
    async with Runtime(subscribers=[good]) as runtime:
        with pytest.raises(InvalidOption, match="data"):
            await runtime.emit(Event("n", 1), 2)
        with pytest.raises(InvalidOption, match="events"):
            await runtime.emit_many(things)
        assert runtime.stats.accepted == 0


async def test_an_event_that_somebody_has_to_hear_is_refused_where_nobody_does() -> None:
    async with Runtime(subscribers=[good]) as runtime:
        with pytest.raises(NoSubscriber, match=r"nobody\.hears"):
            await runtime.emit("nobody.hears", require=True, id="x")
        assert runtime.stats.accepted == 0
        await runtime.emit("n", require=True, id="x")


@pytest.mark.parametrize("bad", [*BAD_PATTERNS[:4], None], ids=repr)
async def test_a_refused_spawn_starts_nothing(bad: Any) -> None:
    async with Runtime() as runtime:
        with pytest.raises(Rejected):
            await runtime.spawn(handler, bad)
        assert not runtime.subscriptions
        with pytest.raises(InvalidOption):
            await runtime.spawn(good, capacity=0)
        assert not runtime.subscriptions


async def test_a_spawn_outside_the_block_is_refused() -> None:
    runtime = Runtime()
    with pytest.raises(RuntimeClosed, match="not entered"):
        await runtime.spawn(good)


def test_a_hostile_value_is_quoted_in_bounded_length() -> None:
    with pytest.raises(InvalidName) as refused:
        subscriber("x" * 1_000_000)
        Subscriber(handler=handler, patterns=("x" * 1_000_000,), name="x")
    assert len(str(refused.value)) < 400
