"""Which programs show the goals: at the size for a change, and at that of a night.

A new goal is one more line here. Sizes: the set for a change takes five minutes on two quiet cores, the one of a night
less than an hour, with R22, which takes a newer Python and is `make soak`'s own. R7 and R13 are for releases.
"""

import shlex
from collections.abc import Sequence
from typing import Final

import attrs


@attrs.frozen
class Program:
    """A program that prints goals.

    Attributes:
        goals: Which ones.
        command: What follows `python -m`.
        alone: Its figures are times, which nothing else may disturb.
    """

    goals: Sequence[str]
    command: str
    alone: bool = False

    @property
    def arguments(self) -> list[str]:
        return ["-m", *shlex.split(self.command)]


CHANGE: Final = (  # in each part the longest first
    Program(["R4"], "tests.cancel_everywhere"),
    Program(["R4 workflows"], "tests.cancel_everywhere.workflows"),
    Program(["R12"], "tests.soak --only overload --seconds 30"),
    Program(["R5"], "tests.fault_everywhere"),
    Program(["R3"], "tests.bugbank --jobs 1"),
    Program(["R1"], "tests.simulation --require-sometimes"),
    Program(["R2"], "tests.simulation --check-determinism 50"),
    Program(["R1-store"], "tests.simulation --store --seeds 500"),
    Program(["R17"], "tests.fuzz"),
    Program(["R16"], "tests.model --examples 40 --seed 1"),
    Program(["S2", "R21"], "tests.goals.marked S2 R21"),
    Program(["S1"], "tests.gate_unsafe"),
    Program(["R18"], "tests.poison", alone=True),
    Program(["R15"], "tests.soak --only isolation --seconds 20", alone=True),
)

NIGHT: Final = (
    Program(["R1"], "tests.simulation --backend trio --first-seed today --seeds 100000 --require-sometimes"),
    Program(["R1"], "tests.simulation --backend asyncio --first-seed today --seeds 100000 --require-sometimes"),
    Program(["R1-store"], "tests.simulation --store --first-seed today --seeds 10000 --require-sometimes"),
    Program(["R4"], "tests.cancel_everywhere --seeds 8"),
    Program(["R4 pairs"], "tests.cancel_everywhere --pairs"),
    Program(["R4 workflows"], "tests.cancel_everywhere.workflows --seeds 10"),
    Program(["R12"], "tests.soak --only overload --seconds 300"),
    Program(["R17"], "tests.fuzz --inputs 1000000"),
    Program(["R5"], "tests.fault_everywhere --faults 'busy,full,lost request,lost reply,slow,twice'"),
    Program(["R2"], "tests.simulation --check-determinism 500"),
    Program(["R16"], "tests.model --examples 500"),
    Program(["R2"], "tests.simulation --store --check-determinism 500"),
    Program(["R3"], "tests.bugbank"),
    Program(["R6"], "tests.crash sqlite --cycles 300"),
    Program(["R11"], "tests.crash worker --cycles 200"),
    Program(["R24"], "tests.crash workflows"),
    Program(["R24"], "tests.crash workflows --store redis"),
    Program(["R25"], "tests.workflows"),
    Program(["S2", "R21", "R10"], "tests.goals.marked S2 R21 R10"),
    Program(["S1"], "tests.gate_unsafe"),
    Program(["R14"], "tests.shutdown", alone=True),
    Program(["R19"], "tests.lease", alone=True),
    Program(["R20"], "tests.clock", alone=True),
    Program(["R18"], "tests.poison", alone=True),
    Program(["R15"], "tests.soak --only isolation", alone=True),
)
