"""The graph of who waits for whom: whether one more wait would close a circle that nobody in it can leave.

A hand that is idle or at work can move. A hand that waits can once what it needs can: each need is met by any one
of several hands, and a wait asks for all of its needs or for any one. So the graph is reduced from those that can
move; what is left never will, whatever the others do. Reducing it takes a finished hand to be free for good, which
is what makes an alarm certain: where even that does not help, nothing does.

Nothing here waits, reads a clock or changes anything, and nothing is kept between two questions: the graph is what
the hands wait for at the moment of asking. Only waits that other hands end belong in it; one that time or somebody
outside may end does not.

Source: Holt, "Some deadlock properties of computer systems" (1972), the reduction; Knapp, "Deadlock detection in
distributed databases" (1987), the AND-OR model.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeAlias

import attrs

from .actor import Actor, Hand

LONGEST_WAY: Final = 20
"""Steps of a circle that its text shows."""

SingleNeed: TypeAlias = Actor[Any] | Hand[Any] | tuple[Hand[Any], ...]
"""Who must be able to move: any hand of this actor, this very hand, or any one of these.

A need without hands is met: an actor has none before it starts and after it has ended, and a circle through nobody
is none.
"""


@attrs.frozen(eq=False)
class Every:
    """A need that is met once all of `needs` are."""

    needs: tuple[SingleNeed, ...]


Need: TypeAlias = SingleNeed | Every


@attrs.frozen(eq=False)
class Wait:
    """What the task of a hand waits for.

    Attributes:
        kind: What sort of wait it is.
        label: What it waits for, for people, as in "room in ledger".
        needs: Who must move before the wait can end; asked at most once for each `find_circle`, in which it may
            not change what anybody waits for. None at all: nobody has to.
        every: All needs must be met; otherwise any one of them is enough.
    """

    kind: str
    label: str
    needs: Callable[[], Iterable[Need]]
    every: bool = True


@attrs.frozen
class Step:
    """One hand of a circle: the name of its actor, and what it waits for."""

    actor: str
    label: str


@attrs.frozen
class Circle:
    """Hands of which each waits for the next, and none can move.

    Where a wait has several needs, one that can't be met stands for the others.

    Attributes:
        steps: The first is the hand whose wait was asked about.
        closes_at: Where in `steps` the last one leads back to. Beyond 0, the steps before it are the way into a
            circle that has closed already, without the first hand.
    """

    steps: tuple[Step, ...]
    closes_at: int = 0

    def __str__(self) -> str:
        ways = [f"{step.actor} -({step.label})-> " for step in self.steps]
        if len(ways) > LONGEST_WAY:
            half = LONGEST_WAY // 2
            ways[half:-half] = [f"({len(ways) - 2 * half} more) -> "]
        return "".join(ways) + self.steps[self.closes_at].actor


def find_circle(hand: Hand[Any], wait: Wait) -> Circle | None:
    """Tell whether `hand` could never move again if it began to wait by `wait`, in place of what it waits for now.

    Only what can be reached from `hand` is looked at, each hand and each need once: the cost is linear in the waits
    and in their needs.

    Returns:
        None where there is a way for `hand` to move. Otherwise a shortest circle through it; or, where it would
        wait for hands that are stuck without it, the way to them and a circle of theirs.
    """
    graph = _Graph(hand, wait)
    graph.explore()
    graph.reduce()
    return graph.circle() if graph.root.is_stuck else None


@attrs.define(eq=False)
class _Node:
    """A hand that waits, or a need of some.

    Attributes:
        step: How a hand is shown; None for a need.
        missing: How many more of `leads_to` must be able to move before this can.
        leads_to: What this waits for and can't move at once.
        followers: The nodes that lead to this one.
    """

    step: Step | None
    missing: int = 1
    leads_to: list["_Node"] = attrs.field(factory=list)
    followers: list["_Node"] = attrs.field(factory=list)

    @property
    def is_stuck(self) -> bool:
        return self.missing > 0  # below 0 where more can move than it needs

    def lead_to(self, other: "_Node") -> None:
        self.leads_to.append(other)
        other.followers.append(self)


@attrs.define(eq=False)
class _Graph:
    """What is reachable from one hand that would wait.

    Attributes:
        hands: The hands that wait.
        needs: The needs, each once, however many wait for it; None for one that is met at once.
    """

    closing: Hand[Any]
    wait: Wait
    hands: dict[Hand[Any], _Node] = attrs.field(factory=dict)
    needs: dict[Need, _Node | None] = attrs.field(factory=dict)
    unexplored: list[tuple[_Node, Wait]] = attrs.field(factory=list)
    movable: list[_Node] = attrs.field(factory=list)
    root: _Node = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.root = self.node_of(self.closing, self.wait)

    def wait_of(self, hand: Hand[Any]) -> Wait | None:
        return self.wait if hand is self.closing else hand.wait

    def node_of(self, hand: Hand[Any], wait: Wait) -> _Node:
        node = self.hands.get(hand)
        if node is None:
            node = self.hands[hand] = _Node(Step(hand.actor.name, wait.label))
            self.unexplored.append((node, wait))
        return node

    def explore(self) -> None:
        """Build the graph. A loop over a list that grows meanwhile, so that no chain is too long for the stack."""
        for node, wait in self.unexplored:
            needs = [self.open(need) for need in wait.needs()]
            unmet = [need for need in needs if need is not None]
            node.missing = len(unmet) if wait.every else int(0 < len(unmet) == len(needs))
            if node.missing:
                for need in unmet:
                    node.lead_to(need)
            elif node is self.root:
                return  # the common case: whoever is needed is at work
            else:
                self.movable.append(node)

    def open(self, need: Need) -> _Node | None:
        """The node of a need; None where somebody can meet it now."""
        if need not in self.needs:
            self.needs[need] = self.open_anew(need)
        return self.needs[need]

    def open_anew(self, need: Need) -> _Node | None:
        if isinstance(need, Every):
            parts = [part for each in need.needs if (part := self.open(each)) is not None]
            return _joined(parts) if parts else None
        waiting: list[tuple[Hand[Any], Wait]] = []
        for hand in _members(need):
            wait = self.wait_of(hand)
            if wait is None:
                return None
            waiting.append((hand, wait))
        if not waiting:
            return None
        node = _Node(step=None)
        for hand, wait in waiting:
            node.lead_to(self.node_of(hand, wait))
        return node

    def reduce(self) -> None:
        """Take away what can move, and what can then, until nothing more can or the root could."""
        while self.movable and self.root.is_stuck:
            for follower in self.movable.pop().followers:
                follower.missing -= 1
                if follower.missing == 0:
                    self.movable.append(follower)

    def circle(self) -> Circle:
        """The root is stuck: show why. A stuck node leads to a stuck one, so every walk comes back to where it was."""
        circle = _shortest_way(self.root, {self.root})
        if circle is not None:
            return Circle(_steps(circle[:-1]))
        inside = self.root
        passed: set[_Node] = set()
        while inside not in passed:
            passed.add(inside)
            inside = next(node for node in inside.leads_to if node.is_stuck)
        circle = _shortest_way(inside, {inside})
        assert circle is not None, "the walk came back to it"
        way_in = _shortest_way(self.root, set(circle))
        assert way_in is not None, "the walk came from the root"
        entrance = circle.index(way_in[-1])
        outside = _steps(way_in[:-1])
        return Circle(outside + _steps(circle[entrance:-1] + circle[:entrance]), closes_at=len(outside))


def _joined(parts: list[_Node]) -> _Node:
    """A node that can be met once all of `parts` can."""
    node = _Node(step=None, missing=len(parts))
    for part in parts:
        node.lead_to(part)
    return node


def _members(need: SingleNeed) -> Sequence[Hand[Any]]:
    if isinstance(need, tuple):
        return need
    return need.hands if isinstance(need, Actor) else (need,)


def _steps(nodes: Iterable[_Node]) -> tuple[Step, ...]:
    return tuple(node.step for node in nodes if node.step is not None)


def _shortest_way(start: _Node, goals: Collection[_Node]) -> list[_Node] | None:
    """A shortest way of at least one edge from `start` to one of `goals` among stuck nodes, both ends included.

    Shortest in nodes, which is shortest in hands but for an `Every` that makes one way a node longer.
    """
    came_from: dict[_Node, _Node] = {}
    frontier = deque([start])
    while frontier:
        node = frontier.popleft()
        for ahead in node.leads_to:
            if ahead.is_stuck and ahead not in came_from:
                came_from[ahead] = node
                if ahead in goals:
                    return _traced(start, ahead, came_from)
                frontier.append(ahead)
    return None


def _traced(start: _Node, end: _Node, came_from: dict[_Node, _Node]) -> list[_Node]:
    way = [end, came_from[end]]
    while way[-1] is not start:
        way.append(came_from[way[-1]])
    return way[::-1]
