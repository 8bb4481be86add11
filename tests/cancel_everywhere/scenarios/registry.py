"""The scenarios, by name."""

from collections.abc import Awaitable, Callable
from typing import Final

from tests.cancel_everywhere.world import World

Scenario = Callable[[World], Awaitable[None]]

SCENARIOS: Final[dict[str, Scenario]] = {}


WITH_THREADS: Final[set[str]] = set()
"""Those in which threads are at work, for which virtual time does not wait."""


def scenario(function: Scenario) -> Scenario:
    """Add a scenario, under the name of its function."""
    name = function.__name__
    assert name not in SCENARIOS, f"there are two scenarios {name}"
    SCENARIOS[name] = function
    return function


def scenario_with_threads(function: Scenario) -> Scenario:
    """Add a scenario in which threads are at work."""
    WITH_THREADS.add(function.__name__)
    return scenario(function)
