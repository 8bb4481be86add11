"""Traces: what a run did, step by step, as a digest always and as text where it is asked for.

Two runs with equal digests did the same things in the same order.
"""

from array import array
from typing import Final
from zlib import crc32

import attrs

LAST_LINES: Final = 40


@attrs.define(eq=False)
class Trace:
    """The steps of one run, and what was said in them.

    Attributes:
        keeps: Lines are kept as text, too.
        steps: How many steps there were.
    """

    keeps: bool = False
    steps: int = 0
    lines: list[str] = attrs.field(factory=list)
    _tasks: "array[int]" = attrs.field(factory=lambda: array("I"))
    _said: int = 0

    def step(self, task: int) -> None:
        """A task has done a step."""
        self.steps += 1
        self._tasks.append(task)

    def say(self, text: str, time: float) -> None:
        """Something worth telling happened in the step that runs."""
        self._said = crc32(f"{self.steps} {time!r} {text}".encode(), self._said)
        if self.keeps:
            self.lines.append(f"{self.steps:>6} {time:>12.6f}  {text}")

    @property
    def digest(self) -> str:
        """The same for equal runs, in whatever process."""
        return f"{crc32(self._tasks.tobytes()):08x}{self._said:08x}"
