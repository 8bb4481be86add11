"""Failing every n-th call: the first, then the second, and so on until none fails."""

from collections.abc import Iterator
from typing import Final

import anyio
import attrs

from postroom.testing import virtual_backend
from postroom.testing.faults import Fault, Once, Plan, While
from postroom.testing.faults.plan import ERRORS

from .scenarios import SCENARIOS
from .world import run

A_WHILE: Final = 8.0
"""How long a fault lasts that is not over at once; longer than an emit is tried again."""


@attrs.frozen
class Run:
    """One run: which scenario, on which backend, and which call fails how."""

    scenario: str
    backend: str
    number: int
    fault: Fault
    lasts: bool

    @property
    def plan(self) -> Plan:
        return While(self.number, self.fault, A_WHILE) if self.lasts else Once(self.number, self.fault)

    def execute(self) -> int:
        """Run it.

        Returns:
            How many calls of the store it made.

        Raises:
            Whatever does not hold.
        """
        name, options = virtual_backend("trio" if self.backend == "trio" else "asyncio")
        processes = anyio.run(run, SCENARIOS[self.scenario], self.plan, backend=name, backend_options=options)
        return int(processes.calls)

    def __str__(self) -> str:
        how = "and those of the next seconds " if self.lasts else ""
        return f"{self.scenario} on {self.backend}: call {self.number} {how}fail(s) by {self.fault}"


def sweep(
    scenario: str, backend: str, *, faults: tuple[Fault, ...] = ERRORS, step: int = 1
) -> Iterator[tuple[Run, BaseException | None]]:
    """Every run of a scenario, with what was wrong in it."""
    for lasts in (False, True):
        for fault in faults:
            number = 1
            while True:
                attempt = Run(scenario, backend, number, fault, lasts)
                calls, failure = number, None
                try:
                    calls = attempt.execute()
                except Exception as error:
                    failure = error
                yield attempt, failure
                if calls < number:
                    break
                number += step
