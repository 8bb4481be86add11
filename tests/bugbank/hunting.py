"""Hunting one bug: it is planted in a process of its own, which runs seeds until one of them fails."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from tests.simulation import schedules
from tests.simulation.campaign import LOCAL, STORE
from tests.simulation.schedules import BACKENDS

from .bank import BANK
from .planting import Bug, plant

ROOT: Final = Path(__file__).parent.parent.parent


@attrs.frozen(kw_only=True)
class Catch:
    """What came of the hunt for one bug.

    Attributes:
        seed, backend, promise: The first seed that failed, where, and the promise that it broke; None where none did.
        trouble: Why it is not known, where it is not: the process took too long, or died.
    """

    name: str
    seconds: float = 0.0
    seed: int | None = None
    backend: str | None = None
    promise: str | None = None
    trouble: str | None = None


def hunt_here(bug: Bug, first: int, seeds: int) -> Catch:
    """Plant a bug in this process, for good, and run seeds on both backends in turn until one fails."""
    plant(bug)
    run_seed = (STORE if bug.world == "store" else LOCAL).run_seed
    with schedules.no_garbage():
        for seed in range(first, first + seeds):
            for backend in BACKENDS:
                result = run_seed(seed, backend)
                if result.failure is not None:
                    return Catch(name=bug.name, seed=seed, backend=backend, promise=result.failure)
    return Catch(name=bug.name)


@attrs.define(eq=False)
class Hunt:
    """The hunt for one bug in a child process.

    Attributes:
        limit: Seconds after which the bug counts as not found.
    """

    bug: Bug
    limit: float
    process: "subprocess.Popen[str]"
    started: float = attrs.field(factory=time.monotonic)

    @classmethod
    def begin(cls, bug: Bug, first: int, seeds: int, limit: float) -> "Hunt":
        command = [sys.executable, "-m", "tests.bugbank", "--here", bug.name]
        command += ["--first-seed", str(first), "--seeds", str(seeds)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return cls(bug, limit, process)

    def caught(self) -> Catch | None:
        """What came of it; None while it goes on."""
        seconds = time.monotonic() - self.started
        if self.process.poll() is None:
            if seconds < self.limit:
                return None
            self.end()
            return Catch(name=self.bug.name, seconds=seconds, trouble=f"it took more than {self.limit:g} s")
        output, errors = self.process.communicate()
        if self.process.returncode:
            last = [line for line in errors.splitlines() if line.strip()][-1:]
            return Catch(name=self.bug.name, seconds=seconds, trouble=f"the hunt failed: {''.join(last)}")
        found: dict[str, Any] = msgspec.json.decode(output.splitlines()[-1])
        return Catch(**{**found, "seconds": seconds})

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.communicate()


def hunt_all(names: list[str], first: int, seeds: int, limit: float, jobs: int) -> "list[Catch]":
    """Hunt some bugs, so many beside each other; prints each as it is caught."""
    waiting = list(names)
    running: list[Hunt] = []
    caught: list[Catch] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Hunt.begin(BANK[waiting.pop(0)], first, seeds, limit))
            for hunt in running[:]:
                catch = hunt.caught()
                if catch is not None:
                    running.remove(hunt)
                    caught.append(catch)
                    print(told(catch), flush=True)
            time.sleep(0.02)
    finally:
        for hunt in running:
            hunt.end()
    return caught


def told(catch: Catch) -> str:
    """One line about one bug."""
    if catch.seed is not None:
        promise = (catch.promise or "").splitlines()[0]
        return f"{catch.name}: found at seed {catch.seed} on {catch.backend}, {catch.seconds:.1f} s: {promise[:120]}"
    why = "" if catch.trouble is None else f", {catch.trouble}"
    return f"{catch.name}: NOT FOUND, {catch.seconds:.1f} s{why} ({BANK[catch.name].mistake})"
