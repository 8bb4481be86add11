"""The memory of the process as the system sees it, over time.

Units: MB are 1,000,000 bytes; seconds.
"""

import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MEGABYTE: Final = 1_000_000

_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """The resident size now; where the system has no /proc the largest so far, which shows growth as well."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def slope_per_minute(samples: Sequence[tuple[float, int]]) -> float:
    """How fast it grows, MB a minute: the straight line through samples of (seconds, bytes), by least squares."""
    times, sizes = [time for time, _ in samples], [size for _, size in samples]
    return statistics.linear_regression(times, sizes).slope * 60 / MEGABYTE
