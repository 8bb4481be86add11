"""What a soak run has shown, in one line."""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Goal:
    """One figure beside the most that it may be.

    Attributes:
        name: Which goal, and which variant of it where there are several.
        most: The largest figure that reaches the goal.
        broken: What was broken whatever the figure is; such a run has failed.
        details: What else one may want to know, by name.
    """

    name: str
    figure: float
    most: float
    broken: tuple[str, ...] = ()
    details: Mapping[str, object]

    @property
    def passed(self) -> bool:
        return self.figure <= self.most and not self.broken

    @property
    def line(self) -> str:
        """The figure and the verdict at fixed places, the rest as words `name=value` behind them."""
        details = " ".join(f"{name}={value}" for name, value in self.details.items())
        broken = "".join(f" BROKEN: {what}" for what in self.broken)
        return f"GOAL {self.name} {self.figure:.2f} {'PASS' if self.passed else 'FAIL'} {details}{broken}"
