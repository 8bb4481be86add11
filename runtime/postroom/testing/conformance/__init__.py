"""Whether an event module keeps what event modules promise: one check for each promise."""

from .check import Check as Check
from .suite import checks as checks
from .world import World as World

__all__ = ["Check", "World", "checks"]
