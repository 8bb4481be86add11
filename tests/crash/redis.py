"""R8: a Redis server that writes before it answers, killed with `kill -9` at random moments; two processes are busy."""

import random
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from tests.processes.child import Child, Said, end_all
from tests.processes.command import BACKENDS
from tests.processes.stores import ALWAYS, left_at
from tests.servers.redis import RedisServer
from tests.soak.goal import Goal

from .sqlite import lost_in, rerun_in

LEASE: Final = 3.0

RESUME_WITHIN: Final = 2.0
"""Seconds, from when the server answers again until each process handles something."""


def redis(folder: Path, cycles: int, seed: int) -> Goal:
    """Kill the server so often, start it again each time; the processes stay, one on each backend."""
    chance = random.Random(seed)
    stop = folder / "stop"
    children: list[Child] = []
    resumed: list[float] = []
    start = time.monotonic()
    with RedisServer(ALWAYS) as server:
        place = f"{server.url}#crash"
        try:
            for number, backend in enumerate(BACKENDS):
                children.append(Child("tests.crash.busy", folder, f"c{number}", (place, backend, LEASE, stop)))
            for child in children:
                child.wait_for("ready")
            for _ in range(cycles):
                time.sleep(chance.uniform(0.05, 0.3))
                server.kill()
                time.sleep(chance.uniform(0.0, 0.2))
                server.start()
                opened = time.monotonic()
                resumed += [_handles_after(child, opened) - opened for child in children]
            stop.touch()
            statuses = [each.status() for each in children]
        finally:
            end_all(children)
        left = left_at(place)
    said: dict[str, list[Said]] = defaultdict(list)
    for child in children:
        for line in child.said():
            said[line.word].append(line)
    lost, rerun = lost_in(said), rerun_in(said)
    broken = [f"a process ended with {status}" for status in statuses if status]
    if max(resumed) > RESUME_WITHIN:
        broken.append(f"it took {max(resumed):.1f} s until a process handled something again")
    if said["failed"] or left.waiting or left.lent or left.letters:
        broken.append(f"{len(said['failed'])} deliveries failed, and there is {left}")
    if not said["settled"]:
        broken.append("nobody heard of a success")
    return Goal(
        name="R8",
        figure=lost + rerun,
        most=0,
        broken=tuple(broken),
        details={
            "lost": lost,
            "settled_again": rerun,
            "cycles": cycles,
            "stored": len(said["stored"]),
            "settled": len(said["settled"]),
            "slowest_resume": f"{max(resumed):.2f}",
            "seconds": round(time.monotonic() - start, 1),
            "seed": seed,
        },
    )


def _handles_after(child: Child, moment: float) -> float:
    """When a process began to handle something after a moment."""
    until = moment + 30
    while time.monotonic() < until:
        for line in reversed(child.said()):
            if line.word == "begun" and line.time > moment:
                return min(each.time for each in child.said() if each.word == "begun" and each.time > moment)
        time.sleep(0.02)
    raise TimeoutError(f"{child.name} handles nothing any more")
