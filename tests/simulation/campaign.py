"""Campaigns: many seeds, the failures among them, and whether every rare situation came about."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import attrs

from . import schedules
from .running import Result, run_program, run_seed
from .schedules import Backend
from .shrinking import Shrinker, shown
from .sometimes import Sometimes
from .trace import LAST_LINES

REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")

Seed = tuple[Backend, int]


@attrs.define(eq=False)
class Campaign:
    """What came of many runs on one backend.

    Attributes:
        seconds: How long they took, of this process's own time.
    """

    backend: Backend
    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    failures: list[Result] = attrs.field(factory=list)
    sometimes: Sometimes = attrs.field(factory=Sometimes)

    @property
    def rate(self) -> float:
        """Seeds a second of this process's time."""
        return self.runs / max(self.seconds, 1e-9)


def regressions(backend: Backend) -> list[int]:
    """Seeds that failed once, and are run first."""
    lines = REGRESSIONS.read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [int(seed) for name, seed, *_ in words if name == backend]


def run_all(
    backend: Backend,
    seeds: Sequence[int],
    *,
    run: Callable[[int, Backend], Result] = run_seed,
    stop_at: int = 3,
) -> Campaign:
    """Run seeds until all are done, or so many have failed."""
    campaign = Campaign(backend)
    started = time.process_time()
    with schedules.no_garbage():
        for seed in seeds:
            result = run(seed, backend)
            campaign.runs += 1
            campaign.steps += result.steps
            campaign.sometimes.update(result.sometimes)
            if result.failure is not None:
                campaign.failures.append(result)
                if len(campaign.failures) >= stop_at:
                    break
    campaign.seconds = time.process_time() - started
    return campaign


def versions() -> str:
    """What the digest of a seed may depend on."""
    return f"python {platform.python_version()}, trio {version('trio')}, anyio {version('anyio')}"


def command_for(result: Result) -> str:
    """The one command that runs this failure again."""
    return f"python -m tests.simulation --backend {result.backend} --seed {result.seed} --steps {result.steps}"


def told(result: Result, *, shrinks: bool = True) -> Iterator[str]:
    """What there is to say of a failure, line by line."""
    yield f"{result.backend} seed {result.seed}: {result.failure}"
    yield f"run it again: {command_for(result)}"
    yield versions()
    traced = run_program(result.program, result.seed, result.backend, traced=True)
    yield from traced.lines[-LAST_LINES:]
    if shrinks:
        with schedules.no_garbage():
            shrinker = Shrinker(result)
            least = shrinker.shrink()
        yield f"the smallest program found in {shrinker.runs} runs fails under schedule {least.seed}: {least.failure}"
        yield shown(least.program)
