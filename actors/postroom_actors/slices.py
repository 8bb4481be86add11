"""Time slices: how long a task may hold the loop before it lets the others run.

A checkpoint for each message was measured to make a message several times dearer; none at all lets a flood of
cheap messages starve every other task. So whoever works through many small things looks at the clock in between
and yields once its slice is over.

Units: seconds, on the kernel's stopwatch.
"""

from typing import Final

import attrs

SLICE: Final = 0.001
"""How long a task may hold the loop, seconds."""

MOST_PER_SLICE: Final = 4096
"""How many messages a slice has at the most: on a virtual clock time stands while a task runs, and never ends one."""


@attrs.define(eq=False)
class TimeSlice:
    """The slice of the task that runs now. One for a kernel: only one task runs at a time.

    Attributes:
        ends_at: When the running task should yield.
        left: How many messages it may still handle before.
    """

    ends_at: float = attrs.field(default=0.0, init=False)
    left: int = attrs.field(default=MOST_PER_SLICE, init=False)

    def restart(self, now: float) -> None:
        """A task has just got the loop."""
        self.ends_at = now + SLICE
        self.left = MOST_PER_SLICE

    def is_over(self, now: float) -> bool:
        """Count one message; whether the running task should yield now. The hot paths have this written out."""
        self.left -= 1
        return now >= self.ends_at or self.left <= 0
