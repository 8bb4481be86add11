"""The plain rules: names, routes, waits before retries, ids, deduplication. Properties where there are many cases."""

import math
import string
import sys
import threading
from random import Random
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import ConflictingEvent, InvalidName, Runtime, constant, exponential
from postroom import deduplication as dedup
from postroom.identity import unique_ids
from postroom.names import tokens_of_name, tokens_of_pattern
from postroom.routes import MOST_NAMES_REMEMBERED, Routes
from tests.promises.programs import matches
from tests.promises.quick import quick

TOKENS = st.sampled_from(["a", "b", "c"])
NAMES = st.lists(TOKENS, min_size=1, max_size=5).map(".".join)
PATTERNS = st.tuples(
    st.lists(st.one_of(TOKENS, st.just("*")), max_size=4), st.sampled_from([["a"], ["*"], ["**"], ["b"]])
).map(lambda parts: ".".join([*parts[0], *parts[1]]))


class CountedDict(dict[str, Any]):
    """Counts look-ups."""

    count = 0

    def get(self, key: str, default: Any = None) -> Any:
        CountedDict.count += 1
        return super().get(key, default)


@given(tables=st.lists(st.lists(PATTERNS, min_size=1, max_size=3), max_size=12), names=st.lists(NAMES, max_size=8))
@quick
def test_routes_match_as_the_plain_rule_does_in_the_order_added_each_once(
    tables: list[list[str]], names: list[str]
) -> None:
    routes: Routes[int] = Routes()
    numbers = [
        routes.add(tuple(tokens_of_pattern(pattern) for pattern in patterns), target)
        for target, patterns in enumerate(tables)
    ]
    for name in names:
        expected = [t for t, patterns in enumerate(tables) if any(matches(pattern, name) for pattern in patterns)]
        assert list(routes.match(name)) == expected
        assert list(routes.remembered[name]) == expected
    for target, patterns in enumerate(tables):
        routes.remove(tuple(tokens_of_pattern(pattern) for pattern in patterns), numbers[target])
    assert all(routes.match(name) == () for name in names)
    assert not routes._root.children, "removed patterns leave nothing behind"


def look_ups(patterns: list[str], name: str) -> int:
    """How many look-ups in dictionaries a match takes."""
    routes: Routes[int] = Routes()
    for number, pattern in enumerate(patterns):
        routes.add((tokens_of_pattern(pattern),), number)
    unseen = [routes._root]
    while unseen:
        node = unseen.pop()
        node.children = CountedDict(node.children)
        unseen.extend(node.children.values())
    CountedDict.count = 0
    assert len(routes.match(name)) == 1
    return CountedDict.count


def test_one_match_costs_the_same_among_ten_and_among_ten_thousand_patterns() -> None:
    few = [f"order.n{number}.placed" for number in range(10)]
    many = [f"order.n{number}.placed" for number in range(10_000)]
    assert look_ups(many, "order.n7.placed") == look_ups(few, "order.n7.placed") <= 12


def test_names_that_are_remembered_are_bounded() -> None:
    routes: Routes[int] = Routes()
    for number in range(2 * MOST_NAMES_REMEMBERED + 1):
        routes.match(f"order.n{number}")
    assert len(routes.remembered) <= MOST_NAMES_REMEMBERED


def test_a_change_of_the_table_is_seen_by_names_that_were_remembered() -> None:
    routes: Routes[int] = Routes()
    assert routes.match("a.b") == ()
    number = routes.add((("a", "*"),), 1)
    assert routes.match("a.b") == (1,)
    routes.remove((("a", "*"),), number)
    routes.remove((("a", "*"),), number)
    assert routes.match("a.b") == ()


@pytest.mark.parametrize("name", ["a", "order.placed", "A-b_9.x", "0", "-", "a" * 200, ".".join(["a"] * 100)])
def test_72_a_name_of_plain_tokens_is_valid(name: str) -> None:
    assert ".".join(tokens_of_name(name)) == name
    assert ".".join(tokens_of_pattern(name)) == name


@pytest.mark.parametrize(
    "name",
    ["", "a" * 201, "a b", " a", "a ", "a\tb", "a\n", "a\r\n", "\n", "a\x00", "a\x7f", "../a", "a/b", ".a", "a.",
     "a..b", ".", "caf\u00e9", "\u0430dmin", "a\u200bb", "\uff41", "a\u2024b", "\ud800", "a*",
     "*", "a.**", "a:b", "a,b"],
)  # fmt: skip
def test_72_any_other_name_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(InvalidName) as refused:
        tokens_of_name(name)
    text = str(refused.value)
    assert any(word in text for word in ("token", "empty", "characters"))
    assert text.isascii() or text.isprintable()


@given(text=st.text(max_size=12))
@quick
def test_72_whatever_is_accepted_consists_of_the_letters_that_the_rule_names(text: str) -> None:
    try:
        tokens = tokens_of_name(text)
    except InvalidName:
        return
    allowed = set(string.ascii_letters + string.digits + "_-")
    assert all(token and set(token) <= allowed for token in tokens)


@given(
    first=st.floats(0, 1e6),
    factor=st.floats(1, 1e6),
    limit=st.floats(0, 1e6),
    attempt=st.integers(1, 10**9),
    seed=st.integers(),
)
@quick
def test_a_wait_is_finite_at_most_its_limit_and_jitter_draws_its_upper_half(
    first: float, factor: float, limit: float, attempt: int, seed: int
) -> None:
    exact = exponential(first, factor=factor, limit=limit, jitter=False)(attempt, Random(seed))
    wait = exponential(first, factor=factor, limit=limit)(attempt, Random(seed))
    assert math.isfinite(exact)
    assert 0 <= exact <= limit
    assert exact / 2 <= wait <= exact


def test_waits_grow_by_their_factor_up_to_the_limit() -> None:
    backoff = exponential(0.5, factor=3, limit=10, jitter=False)
    assert [backoff(attempt, Random()) for attempt in range(1, 6)] == [0.5, 1.5, 4.5, 10, 10]
    assert constant(7)(1000, Random()) == 7


def test_ids_are_unique_across_threads_and_sources() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads come into the middle of each other
    shared = unique_ids()
    found: list[list[str]] = []

    def draw() -> None:
        own = unique_ids()
        found.append([shared() for _ in range(3000)] + [own() for _ in range(3000)])

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    everything = [id for ids in found for id in ids]
    assert len(set(everything)) == len(everything) == 8 * 6000


def test_ids_of_one_source_sort_by_age_within_a_block() -> None:
    ids = unique_ids()
    block = [ids() for _ in range(256)]
    assert block == sorted(block)


class Odd:
    """Data whose comparison is no truth value."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"name": "m"}, "name"), ({"data": 2}, "data"), ({"key": "l"}, "key"), ({"headers": {"a": "c"}}, "headers")],
)
async def test_50_the_same_id_with_something_else_is_a_conflict_that_names_it(
    changed: dict[str, Any], field: str
) -> None:
    given_first: dict[str, Any] = {"name": "n", "data": 1, "key": "k", "headers": {"a": "b"}, "id": "x"}
    async with Runtime() as runtime:
        first = await runtime.emit(**given_first)
        with pytest.raises(ConflictingEvent) as refused:
            await runtime.emit(**{**given_first, **changed})
        assert refused.value.field == field
        assert await runtime.emit(**given_first) is first
        assert runtime.stats.accepted == 1


async def test_50_data_that_cannot_be_compared_is_the_same_only_if_it_is_itself() -> None:
    odd = Odd()
    async with Runtime() as runtime:
        first = await runtime.emit("n", odd, id="x")
        assert await runtime.emit("n", odd, id="x") is first
        with pytest.raises(ConflictingEvent):
            await runtime.emit("n", Odd(), id="x")


async def test_50_an_id_is_free_again_after_the_window() -> None:
    async with Runtime() as runtime:
        first = await runtime.emit("n", 1, id="x")
        await anyio.sleep(dedup.WINDOW - 1)
        assert await runtime.emit("n", 1, id="x") is first
        await anyio.sleep(1)
        second = await runtime.emit("n", 2, id="x")
        assert second is not first
        assert runtime.stats.accepted == 2


async def test_50_only_so_many_ids_are_remembered_the_newest() -> None:
    with patch.object(dedup, "MOST_IDS", 3):
        async with Runtime() as runtime:
            receipts = [await runtime.emit("n", number, id=f"id-{number}") for number in range(4)]
            assert [await runtime.emit("n", number, id=f"id-{number}") for number in (3, 2, 1)] == receipts[:0:-1]
            assert await runtime.emit("n", 0, id="id-0") is not receipts[0]
            assert len(runtime._deduplication) == 3
