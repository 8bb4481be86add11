"""Whether a store keeps to the rates of subscriptions, over all its sessions."""

from typing import Final

import attrs

from postroom.contract import Binding

ALLOWANCE: Final = 0.06
"""Seconds by which what a fetch missed may follow at once, and a little for rounding."""


@attrs.define(eq=False)
class RateWatch:
    """When attempts were lent, or were to be made again, by subscription."""

    _times: dict[str, list[float]] = attrs.field(factory=dict)

    def attempted(self, binding: Binding, now: float) -> None:
        """Another attempt, that a session makes by itself."""
        self._times.setdefault(binding.name, []).append(now)

    def lent(self, binding: Binding, now: float) -> str | None:
        """Another attempt, which the store has let begin; returns what is wrong with that."""
        self.attempted(binding, now)
        if binding.interval is None:
            return None
        times = self._times[binding.name]
        for at, since in enumerate(times):
            count, most = len(times) - at, (now - since + ALLOWANCE) / binding.interval + binding.burst
            if count > most:
                return (
                    f"{count} attempts of {binding.name} began within {now - since:g} s, and its rate allows {most:g}"
                )
        return None
