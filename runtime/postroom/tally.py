"""Counters of deliveries, as they are kept."""

import attrs


@attrs.define(eq=False)
class Tally:
    """What became of deliveries."""

    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    dropped: int = 0
    expired: int = 0
    cancelled: int = 0
    retried: int = 0
    returned: int = 0

    @property
    def pending(self) -> int:
        """Deliveries that have no outcome yet."""
        settled = self.succeeded + self.failed + self.dropped + self.expired + self.cancelled
        return self.accepted - settled - self.returned

    def add(self, other: "Tally") -> None:
        """Count what another one has counted."""
        for field in attrs.fields(Tally):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
