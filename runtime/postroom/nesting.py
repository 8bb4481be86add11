"""How deep data may be nested."""

from itertools import chain
from typing import Final

DEEPEST: Final = 64
"""Lists, mappings and objects inside of each other."""

_CONTAINERS: Final = (dict, list, tuple, set, frozenset)


def is_deep(data: object) -> bool:
    """Whether lists, mappings and the like are nested deeper than a store takes them; without recursion, each once."""
    level, seen = [data], set[int]()
    for _ in range(DEEPEST + 1):
        found = {id(each): each for each in level if isinstance(each, _CONTAINERS) and id(each) not in seen}
        if not found:
            return False
        seen.update(found)
        level = list(chain.from_iterable(each.values() if isinstance(each, dict) else each for each in found.values()))
    return True
