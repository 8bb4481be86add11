"""Campaigns: many seeds, the failures among them, and whether every rare situation came about."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import attrs

from . import schedules
from .running import Result, run_program, run_seed
from .schedules import Backend
from .shrinking import Shrinker, shown, simpler_programs
from .sometimes import Sometimes
from .store.running import run_store_program, run_store_seed
from .store.sometimes import StoreSometimes
from .trace import LAST_LINES

REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")
STORE_REGRESSIONS: Final = Path(__file__).with_name("store") / "regressions.txt"

Seed = tuple[Backend, int]


@attrs.frozen(kw_only=True)
class Simulator:
    """One of the worlds that there are.

    Attributes:
        goal: As it is printed.
        options: That choose it on the command line.
        run_seed, run_program: Run the program of a seed, or any, under the schedule of a seed.
        sometimes: Counts its rare situations.
        regressions: The file of its seeds that failed once.
        simpler: Programs that differ from one by a value that is simpler; for shrinking.
    """

    goal: str
    options: str
    run_seed: Callable[..., Result]
    run_program: Callable[..., Result]
    sometimes: type[Sometimes]
    regressions: Path
    simpler: Callable[[Any], Iterator[Any]]


LOCAL: Final = Simulator(
    goal="R1",
    options="",
    run_seed=run_seed,
    run_program=run_program,
    sometimes=Sometimes,
    regressions=REGRESSIONS,
    simpler=simpler_programs,
)
STORE: Final = Simulator(
    goal="R1-store",
    options="--store ",
    run_seed=run_store_seed,
    run_program=run_store_program,
    sometimes=StoreSometimes,
    regressions=STORE_REGRESSIONS,
    simpler=lambda program: iter(()),
)


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


def regressions(backend: Backend, simulator: Simulator = LOCAL) -> list[int]:
    """Seeds that failed once, and are run first."""
    lines = simulator.regressions.read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [int(seed) for name, seed, *_ in words if name == backend]


def run_all(
    backend: Backend,
    seeds: Sequence[int],
    *,
    run: Callable[[int, Backend], Result] | None = None,
    stop_at: int = 3,
    simulator: Simulator = LOCAL,
) -> Campaign:
    """Run seeds until all are done, or so many have failed."""
    campaign = Campaign(backend, sometimes=simulator.sometimes())
    run = run or simulator.run_seed
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


def command_for(result: Result, simulator: Simulator = LOCAL) -> str:
    """The one command that runs this failure again."""
    options = f"{simulator.options}--backend {result.backend} --seed {result.seed} --steps {result.steps}"
    return f"python -m tests.simulation {options}"


def told(result: Result, simulator: Simulator = LOCAL, *, shrinks: bool = True) -> Iterator[str]:
    """What there is to say of a failure, line by line."""
    yield f"{result.backend} seed {result.seed}: {result.failure}"
    yield f"run it again: {command_for(result, simulator)}"
    yield versions()
    traced = simulator.run_program(result.program, result.seed, result.backend, traced=True)
    yield from traced.lines[-LAST_LINES:]
    if shrinks:
        with schedules.no_garbage():
            shrinker = Shrinker(result, simulator.run_program, simpler=simulator.simpler)
            least = shrinker.shrink()
        yield f"the smallest program found in {shrinker.runs} runs fails under schedule {least.seed}: {least.failure}"
        yield shown(least.program)
