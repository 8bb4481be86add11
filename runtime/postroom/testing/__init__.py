"""A kit for tests of event-driven code."""

from .opening import open_runtime as open_runtime
from .recorder import Recorder as Recorder
from .subscribers import blocked_until as blocked_until
from .subscribers import failing as failing
from .subscribers import slow as slow
from .virtual_time import Deadlock as Deadlock
from .virtual_time import VirtualTimeLoop as VirtualTimeLoop
from .virtual_time import virtual_backend as virtual_backend

__all__ = [
    "Deadlock",
    "Recorder",
    "VirtualTimeLoop",
    "blocked_until",
    "failing",
    "open_runtime",
    "slow",
    "virtual_backend",
]
