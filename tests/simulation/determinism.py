"""Whether the simulator itself is repeatable: the same seed, the same digest, in whatever process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import schedules
from .campaign import LOCAL, Simulator
from .schedules import BACKENDS, Backend

ROOT = Path(__file__).parent.parent.parent


def digests(backend: Backend, seeds: Sequence[int], simulator: Simulator = LOCAL) -> list[str]:
    """The digest of each seed, in this process."""
    with schedules.no_garbage():
        return [simulator.run_seed(seed, backend).digest for seed in seeds]


def digests_elsewhere(
    backend: Backend, seeds: Sequence[int], hash_seed: int, simulator: Simulator = LOCAL
) -> list[str]:
    """The same in another process, in which strings have other hashes."""
    command = [sys.executable, "-m", "tests.simulation", *simulator.options.split(), "--backend", backend, "--digests"]
    command += ["--first-seed", str(seeds[0]), "--seeds", str(len(seeds))]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def differences(
    seeds: Sequence[int], backends: Sequence[Backend] = BACKENDS, simulator: Simulator = LOCAL
) -> list[str]:
    """The seeds of which two runs differed: twice in this process, once in each of two others."""
    found: list[str] = []
    for backend in backends:
        first = digests(backend, seeds, simulator)
        elsewhere = [digests_elsewhere(backend, seeds, each, simulator) for each in (1, 4242)]
        for others in (digests(backend, seeds, simulator), *elsewhere):
            assert len(others) == len(first)
            found += [f"{backend} {seed}" for seed, a, b in zip(seeds, first, others, strict=True) if a != b]
    return found
