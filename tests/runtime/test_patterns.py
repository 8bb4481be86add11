"""How patterns relate, beside all names of a small world."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.patterns import covers, overlap
from postroom.routes import Routes
from tests.promises.quick import quick

NAMES = [name for length in (1, 2, 3, 4, 5) for name in product("abz", repeat=length)]
PATTERNS = st.tuples(st.lists(st.sampled_from(["a", "b", "*"]), max_size=3), st.sampled_from(["a", "*", "**"])).map(
    lambda parts: (*parts[0], parts[1])
)


def names_of(pattern: tuple[str, ...]) -> set[tuple[str, ...]]:
    routes: Routes[str] = Routes()
    routes.add((pattern,), "target")
    return {name for name in NAMES if routes.match(".".join(name))}


@given(PATTERNS, PATTERNS)
@settings(quick, max_examples=500)
def test_patterns_cover_and_overlap_as_the_names_that_the_routes_match(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert overlap(one, other) == bool(names_of(one) & names_of(other))
    assert covers(one, other) == (names_of(one) >= names_of(other))
