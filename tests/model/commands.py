"""The commands of a program, and how hypothesis draws them.

Whether an event's id is one of two that a program uses again and again, or one of its own, is drawn, too: the same
event under the same id is answered with what became of the first, another one is refused.
"""

from typing import Final, Literal, TypeAlias

import attrs
from hypothesis import strategies as st

Does: TypeAlias = Literal["succeed", "second", "fail", "heal"]
"""What every handler does with an event: succeed, succeed at the second of its two attempts, fail, or fail until the
program has healed what is wrong."""

Subscription: TypeAlias = Literal["ledger", "mail", "shelf"]

SUBSCRIPTIONS: Final[tuple[Subscription, ...]] = ("ledger", "mail", "shelf")
SOON: Final = 0.005
LATE: Final = 5000.0
STEPS: Final = 40


@attrs.frozen
class Item:
    """An event to emit.

    Attributes:
        time: `soon` and `late` are delays, the latter beyond the end of the program; `expires` is too late for whoever
            is paused.
    """

    name: str
    does: Does = "succeed"
    key: str | None = None
    priority: Literal["critical", "default", "lowest"] = "default"
    time: Literal["now", "soon", "late", "expires"] = "now"
    id: str | None = None


@attrs.frozen
class Nothing:
    """What a command shrinks to."""


@attrs.frozen
class Emit:
    """Emit one event."""

    item: Item


@attrs.frozen
class EmitMany:
    """Emit several, all or none."""

    items: tuple[Item, ...]


@attrs.frozen
class Block:
    """Emit several in the block of a group, which then raises, or not."""

    items: tuple[Item, ...]
    raises: bool


@attrs.frozen
class Stage:
    """Emit one into a group that stays open."""

    group: str
    item: Item


@attrs.frozen
class Release:
    """Release a group by its id."""

    group: str


@attrs.frozen
class Clear:
    """Clear a group by its id, or of it the events of one name."""

    group: str
    name: str | None


@attrs.frozen
class Pause:
    """Pause a subscription."""

    subscription: Subscription


@attrs.frozen
class Resume:
    """Resume a subscription."""

    subscription: Subscription


@attrs.frozen
class Replay:
    """Replay the dead letter at a place of their list, by subscription and event."""

    at: int


@attrs.frozen
class Discard:
    """Discard a dead letter."""

    at: int


@attrs.frozen
class Heal:
    """From now on those that do `heal` succeed."""


Command: TypeAlias = (
    Nothing | Emit | EmitMany | Block | Stage | Release | Clear | Pause | Resume | Replay | Discard | Heal
)


@attrs.frozen
class Program:
    """What is run.

    Attributes:
        overflow: The policy of `shelf`, whose mailbox or backlog holds two.
    """

    overflow: Literal["drop_oldest", "drop_newest", "coalesce"]
    commands: tuple[Command, ...]


_does = st.sampled_from(["succeed", "succeed", "second", "fail", "heal"])
_orders = st.builds(
    Item,
    st.sampled_from(["order.placed", "order.paid", "user.came"]),
    _does,
    st.sampled_from([None, "k", "k", "l"]),
    st.sampled_from(["default", "default", "critical", "lowest"]),
    st.sampled_from(["now", "now", "now", "now", "expires", "soon", "late"]),
    st.none(),
)
_named = st.builds(
    Item,
    st.sampled_from(["order.placed", "order.placed", "order.paid"]),
    st.sampled_from(["succeed", "fail"]),
    st.sampled_from([None, None, "k"]),
    id=st.sampled_from(["one", "one", "two"]),
)
# The policies that coalesce go by keys, and hold back whoever has another one than those that wait.
_stock = st.builds(Item, st.just("stock.low"), st.sampled_from(["succeed", "second"]), st.sampled_from(["k", "l"]))
_staged = st.one_of(_orders, _orders, _stock)
_items = st.one_of(_orders, _orders, _orders, _stock, _stock, _named)
_subscriptions = st.sampled_from(SUBSCRIPTIONS)
_groups = st.sampled_from(["g", "h"])
_places = st.integers(0, 3)


def _several(items: st.SearchStrategy[Item]) -> st.SearchStrategy[tuple[Item, ...]]:
    return st.lists(items, min_size=1, max_size=3).map(tuple)


commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Nothing),
    st.builds(Emit, _items),
    st.builds(Emit, _items),
    st.builds(Emit, _items),
    st.builds(EmitMany, _several(_items)),
    st.builds(EmitMany, _several(_items)),
    st.builds(Block, _several(_items), st.booleans()),
    st.builds(Stage, _groups, _staged),
    st.builds(Stage, _groups, _staged),
    st.builds(Release, _groups),
    st.builds(Clear, _groups, st.sampled_from([None, "order.placed", "stock.low"])),
    st.builds(Pause, _subscriptions),
    st.builds(Pause, _subscriptions),
    st.builds(Resume, _subscriptions),
    st.builds(Resume, _subscriptions),
    st.builds(Replay, _places),
    st.builds(Discard, _places),
    st.builds(Heal),
)

programs: st.SearchStrategy[Program] = st.builds(
    Program,
    st.sampled_from(["drop_oldest", "drop_newest", "coalesce"]),
    st.lists(commands, min_size=STEPS, max_size=STEPS).map(
        lambda drawn: tuple(each for each in drawn if not isinstance(each, Nothing))
    ),
)
