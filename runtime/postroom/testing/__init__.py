"""A kit for tests of event-driven code."""

from .virtual_time import VirtualTimeLoop as VirtualTimeLoop
from .virtual_time import virtual_backend as virtual_backend

__all__ = ["VirtualTimeLoop", "virtual_backend"]
