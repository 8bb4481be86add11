"""A process that takes turns with the postroom that is on its path: the other end of `checkouts`.

Reads one request a line and answers each with one line, both JSON; ends at the end of its input.
"""

import json
import sys
from pathlib import Path
from typing import Any

import postroom

from .measure import taken_by, turn
from .memory import MEMORY
from .scenarios import SCENARIOS
from .workload import Size


def answer(request: dict[str, Any]) -> float:
    """Seconds of CPU time of a turn with postroom; or bytes for each, of what is weighed."""
    backend, name, size = request["backend"], request["scenario"], Size(request["events"], request["subscribers"])
    for scenario in SCENARIOS:
        if scenario.name == name:
            return turn(backend, scenario.postroom, size)
    (memory,) = (each for each in MEMORY if each.name == name)
    measurement = memory.bare if request["bare"] else memory.postroom
    return 0.0 if measurement is None else taken_by(backend, measurement, size.events)


def main() -> None:
    print(json.dumps(str(Path(postroom.__file__).parent)), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
