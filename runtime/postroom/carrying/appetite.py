"""How many deliveries a subscription asks its store for: as many as it can begin soon.

What is lent is out of reach for other processes, and is lost together with this one. So a subscription whose handler
takes long holds hardly more than its workers have in hand, and one that is quick holds as much as its mailbox takes,
so that it need not wait for the store. Nothing here waits or reads a clock.

Units: deliveries; seconds on the kernel's stopwatch.
Source: the demand of Reactive Streams and of GenStage (max_demand, min_demand); the growth and the cut of a window as
in TCP.
"""

from typing import Final

import attrs

SOON: Final = 0.05
"""How long what is lent should last, seconds."""


@attrs.define(eq=False)
class Appetite:
    """The window of one subscription.

    Attributes:
        least: What its workers can have in hand.
        most: What its mailbox takes.
        window: How many it may hold now.
        held: How many it holds that are not between two attempts.
        hungry: There may be more for it in the store.
    """

    least: int
    most: int
    window: int = attrs.field(init=False)
    held: int = attrs.field(default=0, init=False)
    hungry: bool = attrs.field(default=True, init=False)
    _since: float = attrs.field(default=0.0, init=False)
    _settled: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.most = max(self.least, self.most)
        self.window = self.least

    def demand(self) -> int:
        """How many to ask for now: nothing while no worker is idle and there is half of a window to go on with."""
        return 0 if not self.hungry or self.is_sated else self.window - self.held

    @property
    def is_sated(self) -> bool:
        """Whether it asks for nothing more, whatever there is."""
        return self.held > max(self.window // 2, self.least - 1)

    def came(self, asked: int, came: int, now: float) -> None:
        """A fetch has brought so many; fit the window to how long the last ones took."""
        self.held += came
        self.hungry = came >= asked
        if not came:  # it says nothing of how long things last, and must not keep the window from growing
            return
        if self._settled and self._since:
            lasted = (now - self._since) / self._settled * self.window
            if lasted < SOON / 2 and self.hungry:
                self.window = min(2 * self.window, self.most)
            elif lasted > SOON:
                self.window = max(self.window // 2, self.least)
        self._since, self._settled = now, 0

    def gone(self, count: int = 1) -> None:
        """So many are held no more."""
        self.held -= count
        self._settled += count
