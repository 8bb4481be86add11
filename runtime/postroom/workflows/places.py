"""Where in the code a step is asked for: its name, and which one of that name it is in its scope.

A path such as `order#0/reserve#1` is the same whenever the workflow runs again, whatever finishes first: within a scope
the calls of each name are counted as they are made. Calls of one name from several tasks can't be counted reliably,
so they need keys, or the scope that `together` gives them.
"""

import re
from typing import Final

import attrs

from postroom_actors import Port

from ..errors import InvalidOption
from .errors import AmbiguousStep

_KEY: Final = re.compile(r"[^\x00-\x1f\x7f/\[\]]{1,100}")


@attrs.define(eq=False)
class Place:
    """A scope: that of a workflow, of one that is nested in it, or of a block of steps that run together.

    Attributes:
        prefix: Of the paths in it: empty, or ending in `/`.
        in_order: Steps of its own task come one after the other.
    """

    port: Port
    prefix: str = ""
    in_order: bool = True
    _task: object = attrs.field(init=False)
    _counts: dict[str, int] = attrs.field(factory=dict, init=False)
    _tasks: dict[str, object] = attrs.field(factory=dict, init=False)
    _keys: set[str] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._task = self.port.current_task()

    def path(self, name: str, key: object = None) -> tuple[str, bool]:
        """The path of what is asked for now; and whether its place in the order of its scope is certain.

        Raises:
            AmbiguousStep: which one it is can't be told again.
            InvalidOption: the key can't be one.
        """
        if key is not None:
            return self._keyed(name, key), False
        task = self.port.current_task()
        if self._tasks.setdefault(name, task) is not task:
            raise AmbiguousStep(self.prefix + name, "it is run in several tasks, whose order may be another next time")
        number = self._counts.get(name, 0)
        self._counts[name] = number + 1
        return f"{self.prefix}{name}#{number}", self.in_order and task is self._task

    def _keyed(self, name: str, key: object) -> str:
        if not isinstance(key, str) or not _KEY.fullmatch(str.__str__(key)):
            raise InvalidOption("key", key, "must be a string of 1 to 100 characters, without `/`, `[` and `]`")
        path = f"{self.prefix}{name}[{str.__str__(key)}]"
        if path in self._keys:
            raise AmbiguousStep(path, "its key was used before in this scope")
        self._keys.add(path)
        return path


def scope_of(path: str) -> str:
    """The prefix of the scope that a path is in."""
    return path[: path.rfind("/") + 1]
