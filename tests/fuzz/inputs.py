"""Inputs: drawn from a seed and a number, put through a door, and watched."""

import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, Final

import anyio
import attrs

from postroom import PostroomError, Runtime, constant
from postroom.policy import Policy
from postroom.quoting import quoted
from postroom.testing import virtual_backend

from . import options
from .doors import DOORS, Door
from .nasties import size_of
from .open_doors import OPEN_DOORS, OpenDoor, read_typed
from .options import Given

SECONDS: Final = 0.05
LARGE: Final = 256 * 1024
"""Bytes in memory for which an input has that time; a larger one has more in proportion."""

MEMORY_FACTOR: Final = 10
MEMORY_BASE: Final = 256 * 1024
WATCHED: Final = 50
"""One of so many inputs is watched for its memory."""

PER_RUNTIME: Final = 500
"""Inputs that one runtime takes."""

ALL: Final[dict[str, Door | OpenDoor]] = {
    **{door.name: door for door in DOORS},
    **{door.name: door for door in OPEN_DOORS},
}


@attrs.frozen
class Failure:
    """An input for which something came out that should not."""

    number: int
    text: str


@attrs.define
class _Runner:
    seed: int
    names: Sequence[str]
    fail: Callable[[Failure], None]
    slowest: float = 0.0

    async def run(self, numbers: Sequence[int]) -> None:
        """Put some inputs through their doors."""
        runtime = Runtime(
            drain_within=0, defaults=Policy(backoff=constant(1)), portable=bool(numbers[0] // PER_RUNTIME % 2)
        )
        async with runtime:
            await runtime.spawn(read_typed, "typed", name="reads-typed")
            await runtime.spawn(options.handler, "**", name="takes-all", overflow="drop_oldest", capacity=10)
            for number in numbers:
                await self._run_one(runtime, number)

    async def _run_one(self, runtime: Runtime, number: int) -> None:
        given, door = self._draw(number)
        watched = number % WATCHED == 0
        wrong = await self._try(runtime, door, given, watched=watched)
        for _ in range(2):
            if wrong is not None and wrong.startswith("it took"):  # unless it was a collection of garbage
                given, door = self._draw(number)
                wrong = await self._try(runtime, door, given, watched=watched)
        if wrong is not None:
            reduced, wrong = await self._reduce(runtime, door, given, wrong)
            self.fail(Failure(number, f"{door.name} of {_shown(reduced)}: {wrong}"))

    def _draw(self, number: int) -> tuple[Given, Door | OpenDoor]:
        random = Random(f"{self.seed}-{number}")
        door = ALL[random.choice(self.names)]
        return door.draw(random), door

    async def _try(self, runtime: Runtime, door: Door | OpenDoor, given: Given, *, watched: bool) -> str | None:
        """What is wrong with what comes out, if anything."""
        if watched:
            tracemalloc.start()
        started = time.thread_time()
        wrong = None
        try:
            await _through(runtime, door, dict(given))
        except PostroomError as error:
            wrong = _wrong_with(error)
        except door.may_raise:
            pass
        except (Exception, SystemExit) as error:
            wrong = f"{type(error).__name__} came out: {quoted(error)}"
        seconds = time.thread_time() - started
        if watched:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            size = size_of(given)
            if peak > MEMORY_FACTOR * size + MEMORY_BASE:
                wrong = wrong or f"it took {peak} bytes for {size}"
            return wrong
        self.slowest = max(self.slowest, seconds)
        if seconds > SECONDS and seconds > SECONDS * size_of(given) / LARGE:
            wrong = wrong or f"it took {seconds * 1000:.0f} ms"
        return wrong

    async def _reduce(self, runtime: Runtime, door: Door | OpenDoor, given: Given, wrong: str) -> tuple[Given, str]:
        """Leave out what does not matter, one argument after the other."""
        kind = wrong[:20]
        for name in list(given):
            less = {other: value for other, value in given.items() if other != name}
            try:
                found = await self._try(runtime, door, less, watched=kind.startswith("it took") and "bytes" in wrong)
            except (KeyError, TypeError):
                continue
            if found is not None and found[:20] == kind and "required" not in found:
                given, wrong = less, found
        return given, wrong


async def _through(runtime: Runtime, door: Door | OpenDoor, given: Given) -> None:
    if isinstance(door, OpenDoor):
        await door.call(runtime, given)
    else:
        door.call(given)


def _wrong_with(error: PostroomError) -> str | None:
    """An error must be able to tell of itself, briefly."""
    try:
        text = str(error)
        repr(error)
    except Exception as failure:
        return f"{type(error).__name__}, which can't be shown: {type(failure).__name__}"
    return f"{type(error).__name__} of {len(text)} characters" if len(text) > 5000 else None


def _shown(given: Given) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in given.items())


def _value(value: Any, depth: int = 0) -> str:
    if depth < 5 and type(value) in (list, tuple) and len(value) < 5:
        return f"[{', '.join(_value(each, depth + 1) for each in value)}]"
    if depth < 5 and type(value) is dict and len(value) < 5:
        return "{" + ", ".join(f"{_value(k, depth + 1)}: {_value(v, depth + 1)}" for k, v in value.items()) + "}"
    return quoted(value) if type(value).__module__ == "builtins" else f"{type(value).__name__}: {quoted(value)}"


def run_inputs(seed: int, numbers: Sequence[int], names: Sequence[str], fail: Callable[[Failure], None]) -> float:
    """Put inputs through the doors of these names; returns the seconds of the slowest one."""
    runner = _Runner(seed, names, fail)
    for part in _parts(numbers):
        backend, backend_options = virtual_backend("trio")
        anyio.run(runner.run, part, backend=backend, backend_options=backend_options)
    return runner.slowest


def _parts(numbers: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(numbers)
    while part := list(islice(rest, PER_RUNTIME)):
        yield part
