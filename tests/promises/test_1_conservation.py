"""Promise 1: accepted × matching = succeeded + failed + dropped + expired + cancelled + pending, at every moment."""

import pytest
from hypothesis import given, settings

from tests.promises.programs import Command, programs, run_program
from tests.promises.quick import LIBRARIES, Library, quick, run


@pytest.mark.parametrize("library", LIBRARIES)
@given(program=programs)
@settings(quick, max_examples=150)
def test_whatever_a_program_does_every_delivery_settles_exactly_once(library: Library, program: list[Command]) -> None:
    world = run(library, lambda: run_program(program))
    stats = world.runtime.stats
    assert stats.pending == 0
    assert stats.accepted == len(world.accepted)
    assert all(receipt.settled for receipt, _ in world.accepted)
    assert world.waiting == 0, "somebody still waits for an acknowledgement"
    assert all(report == receipt.report() for receipt, report in world.reports)
    outcomes = [outcome for receipt, _ in world.accepted for outcome in receipt.report().outcomes]
    kinds = [type(outcome).__name__.lower() for outcome in outcomes]
    for kind in ("succeeded", "failed", "dropped", "expired", "cancelled"):
        assert getattr(stats, kind) == kinds.count(kind)
