"""What makes a run reproducible, and what it has shown."""

import attrs

from .schedule import Library
from .world import Victim


@attrs.frozen(kw_only=True)
class Case:
    """What makes a run reproducible.

    Attributes:
        step: Of the call's, or the block's, after which it is cancelled.
        second: Of the steps after that, for another cancellation, of the runtime's block.
    """

    scenario: str
    library: Library
    victim: Victim
    seed: int
    step: int
    second: int | None = None

    @property
    def arguments(self) -> str:
        """What to run it alone with, on the command line."""
        second = "" if self.second is None else f" --second {self.second}"
        return (
            f"--only {self.scenario} --backend {self.library} --victim {self.victim} --seed {self.seed} "
            f"--step {self.step}{second}"
        )


@attrs.frozen
class Verdict:
    """What a run has shown.

    Attributes:
        struck: The cancellation happened; with a second one, that one.
        wrong: What was violated.
        steps: All that were made.
    """

    struck: bool
    wrong: tuple[str, ...]
    steps: int
