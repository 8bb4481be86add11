"""Two checkouts in one run: the same turns with the postroom of each, in a process of its own each.

What a change costs can't be told from two runs, since the machine's speed changes meanwhile. So the processes take
turns: the other checkout, this one, and a second process of the other one, which tells what noise does, the memory
layout of a process included. All of them run the scenarios of this checkout.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs

from .measure import Comparison, Memory, compare_turns, memory_figures
from .memory import MEMORY, MemoryScenario
from .scenarios import SCENARIOS, Goal, Scenario
from .workload import Size

HERE: Final = Path(__file__).resolve().parents[2]
PARTS: Final = (Path("runtime", "postroom"), Path("actors", "postroom_actors"))
NOISE: Final = 1.05
"""What two processes of one checkout differ by at times, on a machine with nothing else to do."""


class WorkerFailed(Exception):
    """A process ended in the middle of a turn; what it said is on the standard error."""


def missing_in(checkout: Path) -> str | None:
    """What a folder lacks to be a checkout."""
    return next((str(part) for part in PARTS if not (checkout / part).is_dir()), None)


@attrs.define(eq=False)
class Worker:
    """A process that runs the postroom of one checkout."""

    checkout: Path
    _process: "subprocess.Popen[str]"

    def ask(self, backend: str, scenario: str, size: Size, *, bare: bool = False) -> float:
        """Have a turn taken.

        Raises:
            WorkerFailed: the process has ended.
        """
        request = {"backend": backend, "scenario": scenario, **attrs.asdict(size), "bare": bare}
        inlet = self._process.stdin
        assert inlet is not None, "opened with pipes"
        with suppress(BrokenPipeError):  # it has ended, as the missing answer says
            print(json.dumps(request), file=inlet, flush=True)
        return float(self.read())

    def read(self) -> Any:
        """The next line that it says."""
        outlet = self._process.stdout
        assert outlet is not None, "opened with pipes"
        line = outlet.readline()
        if not line:
            raise WorkerFailed(f"the benchmarks failed with the postroom of {self.checkout}")
        return json.loads(line)


@contextmanager
def open_worker(checkout: Path) -> Iterator[Worker]:
    """A block in which a worker runs.

    Raises:
        WorkerFailed: it doesn't start, or another postroom than this checkout's is on its path.
    """
    path = os.pathsep.join(map(str, (checkout / "runtime", checkout / "actors", HERE)))
    # One hash seed for all, as it decides how dictionaries and sets are laid out.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.benchmarks.worker"]
    with subprocess.Popen(
        command, cwd=HERE, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            worker = Worker(checkout, process)
            found = Path(worker.read())
            if found != checkout / PARTS[0]:
                raise WorkerFailed(f"the postroom of {found} was found, not that of {checkout}")
            yield worker
        finally:
            assert process.stdin is not None, "opened with pipes"
            with suppress(BrokenPipeError):
                process.stdin.close()


@attrs.define(eq=False)
class Checkouts:
    """This checkout beside another one."""

    _there: Worker
    _here: Worker
    _there_again: Worker

    def compare(self, backend: str, scenario: Scenario, size: Size, rounds: int) -> Comparison:
        """The scenario's turns with postroom, `rounds` times three."""

        def by(worker: Worker) -> Callable[[Size], float]:
            return lambda size: worker.ask(backend, scenario.name, size)

        shown = attrs.evolve(
            scenario,
            beside=str(self._there.checkout),
            goal=Goal(None, NOISE, NOISE),
            table="this checkout beside the other one",
        )
        turns = by(self._there), by(self._here), by(self._there_again)
        return compare_turns(backend, shown, size, rounds, turns)

    def weigh(self, backend: str, memory: MemoryScenario, count: int) -> Memory:
        """Bytes with the postroom of each."""
        size = Size(count)
        bare = self._here.ask(backend, memory.name, size, bare=True)
        floor, postroom = (worker.ask(backend, memory.name, size) - bare for worker in (self._there, self._here))
        return memory_figures(backend, memory, bare, floor, postroom, beside="the other")


@contextmanager
def open_checkouts(other: Path) -> Iterator[Checkouts]:
    """A block in which the processes run."""
    with ExitStack() as stack:
        yield Checkouts(*(stack.enter_context(open_worker(path)) for path in (other, HERE, other)))


NAMES: Final[Sequence[str]] = [scenario.name for scenario in SCENARIOS] + [memory.name for memory in MEMORY]
"""What can be compared: not what is beside features, which an older checkout may not have."""
