"""Strikes: a scope that is cancelled after the k-th step of a stretch of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import attrs


@attrs.define(eq=False)
class Strike:
    """Cancels `scope` after so many steps, counted while it is armed; after none means on entry.

    Attributes:
        struck: It has happened.
        ended: What it was armed for was over before, so a larger number would change nothing.
        then: Called after it has happened.
    """

    step: int
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    then: Callable[[], None] = lambda: None
    struck: bool = attrs.field(default=False, init=False)
    armed: bool = attrs.field(default=False, init=False)
    steps: int = attrs.field(default=0, init=False)

    @property
    def ended(self) -> bool:
        return not self.struck and not self.armed

    @contextmanager
    def here(self) -> Iterator[None]:
        """A block in which it may happen, and which it cancels."""
        self.arm()
        try:
            with self.scope:
                yield
        finally:
            self.armed = False

    def arm(self) -> None:
        """Count from now on."""
        self.armed = True
        self._look()

    def stepped(self) -> None:
        """A task has made a step."""
        if self.armed:
            self.steps += 1
            self._look()

    def _look(self) -> None:
        if self.steps >= self.step:
            self.armed = False
            self.struck = True
            self.scope.cancel()
            self.then()
