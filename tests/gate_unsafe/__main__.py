"""Goal S1: no unsafe deserialiser, and no import by a stored name, anywhere in the code, its examples and its tests.

Run: python -m tests.gate_unsafe
Prints: one line `GOAL S1 <findings> PASS|FAIL name=value …`; above it each place that breaks a rule.
Status: 0 if there is none, 1 if there is one, 2 for a command line that makes no sense.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from .rules import findings

ROOT: Final = Path(__file__).parent.parent.parent
FOLDERS: Final = ("runtime", "actors", "examples", "tests", "docs")

EXCEPTED: Final[Mapping[str, str]] = {
    "runtime/postroom/cli/app.py": "imports the files of its own package, each of which is a command",
    "runtime/postroom/cli/loading.py": "imports the service that its caller names on the command line",
    "tests/bugbank/planting.py": "compiles functions of ours with the bugs of its own bank in them; reads nothing else",
}
"""Files that may, relative to the root; each with its reason. An entry that is not needed is an error as well."""


def files(root: Path) -> Iterator[Path]:
    """All modules."""
    for folder in FOLDERS:
        yield from sorted(path for path in (root / folder).rglob("*.py") if "_build" not in path.parts)


def look(root: Path, excepted: Mapping[str, str]) -> tuple[list[str], int]:
    """What breaks the rules, one a line, and how many files were looked at."""
    wrong: list[str] = []
    count = 0
    unneeded = dict(excepted)
    for path in files(root):
        count += 1
        name = path.relative_to(root).as_posix()
        found = findings(path.read_text(encoding="utf-8"))
        if name in excepted:
            if found:
                unneeded.pop(name, None)
            continue
        wrong += [f"{name}:{each.line}: {each.what}" for each in found]
    wrong += [f"{name}: is excepted, and nothing in it breaks a rule" for name in unneeded]
    return wrong, count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="gate_unsafe", description=(__doc__ or "").partition("\n")[0])
    parser.parse_args(arguments)
    wrong, count = look(ROOT, EXCEPTED)
    for line in wrong:
        print(line)
    print(f"GOAL S1 {len(wrong)} {'FAIL' if wrong else 'PASS'} files={count} excepted={len(EXCEPTED)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
