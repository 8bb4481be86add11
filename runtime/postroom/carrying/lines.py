"""The lines in front of full backlogs: who waits for room in a store, first come, first served.

A store only says that there is no room. So whoever comes later, and would need room in the same backlog, is not sent
while others wait for it; and of those who wait as many are sent as can't overtake each other, should there be room for
some only. That holds for this process: of several each has lines of its own.
"""

from collections.abc import Callable, Sequence

import attrs

from ..names import tokens_of_pattern
from ..routes import Routes
from .errands import Submission


@attrs.define(eq=False)
class _Line:
    """Who waits for one subscription, and how many of its events each one has.

    Attributes:
        names: Of the events that were refused, for where its patterns are not known.
    """

    routes: Routes[bool] | None
    names: set[str] = attrs.field(factory=set)
    sizes: dict[Submission, int] = attrs.field(factory=dict)

    def is_for(self, name: str) -> bool:
        """Whether its subscription gets events of this name."""
        if self.routes is None:
            return name in self.names
        found = self.routes.remembered.get(name)
        return bool(self.routes.match(name) if found is None else found)


@attrs.define(eq=False)
class Lines:
    """One for each subscription for whose room somebody waits.

    Attributes:
        patterns_of: What a subscription subscribes to; None where that is not known.
    """

    patterns_of: Callable[[str], Sequence[str] | None]
    _lines: dict[str, _Line] = attrs.field(factory=dict, init=False)

    def waiting(self) -> list[Submission]:
        """All who wait."""
        return [submission for line in self._lines.values() for submission in line.sizes]

    @property
    def subscriptions(self) -> list[str]:
        """Those for whose room somebody waits."""
        return list(self._lines)

    def where(self, submission: Submission) -> str | None:
        """For whose room it waits; None where it does not."""
        return next((name for name, line in self._lines.items() if submission in line.sizes), None)

    def in_front_of(self, submission: Submission) -> str | None:
        """The subscription for whose room others wait, before a new one; None where it may be sent.

        One with an id may have been accepted long ago, so it is asked for at once.
        """
        if not self._lines or any(event.digest is not None for event in submission.events):
            return None
        names = dict.fromkeys(event.name for event in submission.events)
        return next((name for name, line in self._lines.items() if any(map(line.is_for, names))), None)

    def add(self, submission: Submission, subscription: str) -> None:
        """One more waits; it keeps its place where it waits there already."""
        line = self._lines.get(subscription)
        if line is not None and submission in line.sizes:
            return
        self.remove(submission)
        if line is None:
            line = self._lines[subscription] = _Line(self._routes_of(subscription))
        line.names.update(event.name for event in submission.events)
        line.sizes[submission] = sum(line.is_for(event.name) for event in submission.events)

    def _routes_of(self, subscription: str) -> Routes[bool] | None:
        patterns = self.patterns_of(subscription)
        if patterns is None:
            return None
        routes = Routes[bool]()
        routes.add(tuple(map(tokens_of_pattern, patterns)), True)
        return routes

    def remove(self, submission: Submission) -> None:
        """It waits no more; does nothing where it does not."""
        for name, line in tuple(self._lines.items()):
            if line.sizes.pop(submission, None) is not None and not line.sizes:
                del self._lines[name]

    def turn(self, most: int) -> list[Submission]:
        """Who is to be sent, now that there may be room: of each line those in front, with `most` events or one.

        Up to the first one that is smaller than one before it, which could get in without it.
        """
        found: dict[Submission, None] = {}
        for line in self._lines.values():
            largest = count = 0
            for submission, size in line.sizes.items():
                if size < largest or (count and count + len(submission.events) > most):
                    break
                largest = size
                count += len(submission.events)
                found[submission] = None
        return list(found)
