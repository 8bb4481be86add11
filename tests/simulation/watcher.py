"""Who is told of everything that a schedule does."""

from collections.abc import Callable
from typing import Protocol


class Watcher(Protocol):
    """Told between the steps of tasks, never within one.

    Attributes:
        is_hopeless: The run can only be broken off.
        now: Set by the schedule: reads the time without letting any pass.
    """

    is_hopeless: bool
    now: Callable[[], float]

    def stepped(self, task: int) -> None:
        """The task of this number, counted as tasks were made, has done a step."""
        ...

    def jumping(self) -> None:
        """Nothing can run now: time is about to jump to the next timer."""
        ...

    def broken(self, what: str) -> None:
        """The loop has met something that no program may cause."""
        ...


class Hopeless(RuntimeError):
    """A run was cancelled, and went on."""
