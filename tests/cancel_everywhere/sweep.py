"""The sweep of a scenario over all steps at which something can be cancelled."""

from collections.abc import Iterator

import attrs

from .case import Case, Verdict
from .one_run import Scenario, run_case


def sweep(case: Case, scenario: Scenario, *, threads: bool = False) -> Iterator[tuple[Case, Verdict]]:
    """Run `case` with a cancellation after each step in turn, from none on, until it comes too late."""
    while True:
        verdict = run_case(case, scenario, threads=threads)
        yield case, verdict
        if not verdict.struck:
            return
        case = attrs.evolve(case, step=case.step + 1)


def sweep_pairs(case: Case, scenario: Scenario) -> Iterator[tuple[Case, Verdict]]:
    """Every pair of steps: the call is cancelled after one, and the runtime's block so many steps later."""
    while True:
        for pair, verdict in _seconds(case, scenario):
            yield pair, verdict
            if not verdict.struck and pair.second == 0:
                return
        case = attrs.evolve(case, step=case.step + 1)


def _seconds(case: Case, scenario: Scenario) -> Iterator[tuple[Case, Verdict]]:
    second = 0
    while True:
        pair = attrs.evolve(case, second=second)
        verdict = run_case(pair, scenario)
        yield pair, verdict
        if not verdict.struck:
            return
        second += 1
