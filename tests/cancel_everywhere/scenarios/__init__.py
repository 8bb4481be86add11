"""What is cancelled everywhere: small programs, each about one call, by theme."""

from . import closing, emitting, grouping, handling, living, retrying, waiting
from .registry import SCENARIOS as SCENARIOS
from .registry import WITH_THREADS as WITH_THREADS

__all__ = ["SCENARIOS", "WITH_THREADS", "closing", "emitting", "grouping", "handling", "living", "retrying", "waiting"]
