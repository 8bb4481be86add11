"""The event module on Redis."""

from .guarantees import Guarantee as Guarantee
from .module import RedisModule as RedisModule

__all__ = ["Guarantee", "RedisModule"]
