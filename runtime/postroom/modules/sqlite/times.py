"""The store's clock: seconds that all processes of the machine count alike, and that nobody sets.

The wall clock is stepped by people and by time servers; with it a delay would end early and a lease too late. So the
store counts the seconds since the machine was started, those that it slept included. The first process that opens the
file after a start notes in it how far the store's time is ahead of that count: such that it goes on from the wall
clock, and never goes back. After that the wall clock is only read to tell people when something was.

Where a machine has no name for its start (not Linux), the wall clock is the store's.

Units: seconds.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@attrs.frozen
class MachineClock:
    """What the store's time is made of.

    Attributes:
        reading: Seconds since the machine was started.
        wall: Seconds since the epoch.
        boot: Names the start that `reading` counts from.
    """

    reading: Callable[[], float]
    wall: Callable[[], float]
    boot: str


def machine_clock() -> MachineClock:
    """The clock of this machine."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    if boottime is None or not boot:
        return MachineClock(time.time, time.time, "")
    return MachineClock(lambda: time.clock_gettime(boottime), time.time, boot)


def ahead_of(clock: MachineClock, latest: float) -> float:
    """How far the store's time is ahead of `clock.reading`, decided at the first use after a start.

    Args:
        latest: The latest time that the store has seen.
    """
    return max(clock.wall(), latest) - clock.reading()
