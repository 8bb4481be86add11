"""The routing table: from an event's name to whoever subscribes to it.

A trie of tokens. What a look-up costs depends on the name's tokens and on what matches, not on how many other
patterns there are; names seen before cost one look-up in a dictionary.

Source: the topic tries of MQTT and AMQP brokers.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

import attrs

from .names import ONE, REST, tokens_of_name

T = TypeVar("T")

MOST_NAMES_REMEMBERED: Final = 4096
"""Names may carry ids of things (`order.17.placed`), so what is remembered of them is bounded."""


@attrs.define(eq=False)
class _Node(Generic[T]):
    children: "dict[str, _Node[T]]" = attrs.field(factory=dict)
    targets: dict[int, T] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Routes(Generic[T]):
    """Targets by pattern.

    Attributes:
        remembered: What matched the names seen since the table last changed; read it first, then `match`.
    """

    remembered: dict[str, tuple[T, ...]] = attrs.field(factory=dict, init=False, repr=False)
    _root: _Node[T] = attrs.field(factory=lambda: _Node[Any](), init=False, repr=False)
    _numbers: Iterator[int] = attrs.field(factory=itertools.count, init=False, repr=False)

    def add(self, patterns: tuple[tuple[str, ...], ...], target: T) -> int:
        """Let events that match any of `patterns`, each as tokens, go to `target`.

        Returns:
            The number under which to remove it.
        """
        number = next(self._numbers)
        for tokens in patterns:
            node = self._root
            for token in tokens:
                node = node.children.setdefault(token, _Node())
            node.targets[number] = target
        self.remembered.clear()
        return number

    def remove(self, patterns: tuple[tuple[str, ...], ...], number: int) -> None:
        """Undo the `add` that returned `number`; does nothing if it was undone before."""
        for tokens in patterns:
            self._remove(self._root, tokens, number)
        self.remembered.clear()

    def _remove(self, root: _Node[T], tokens: tuple[str, ...], number: int) -> None:
        path = [root]
        for token in tokens:
            child = path[-1].children.get(token)
            if child is None:
                return
            path.append(child)
        path[-1].targets.pop(number, None)
        for token in reversed(tokens):
            node = path.pop()
            if node.targets or node.children:
                return
            del path[-1].children[token]

    def match(self, name: object) -> tuple[T, ...]:
        """The targets of an event's name, in the order in which they were added, each once.

        Raises:
            InvalidName: not an event's name.
        """
        tokens = tokens_of_name(name)
        assert isinstance(name, str)
        found: dict[int, T] = {}
        nodes = [self._root]
        for token in tokens:
            following: list[_Node[T]] = []
            for node in nodes:
                rest = node.children.get(REST)
                if rest is not None:
                    found.update(rest.targets)
                following.extend(
                    child for child in (node.children.get(token), node.children.get(ONE)) if child is not None
                )
            nodes = following
        for node in nodes:
            found.update(node.targets)
        targets = tuple(found[number] for number in sorted(found))
        if len(self.remembered) >= MOST_NAMES_REMEMBERED:
            self.remembered.clear()
        self.remembered[name] = targets
        return targets
