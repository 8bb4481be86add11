"""Real processes on one file, killed with `kill -9` at random moments: R6 and R11 of the goals, in small."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import apsw
import attrs
import pytest

ROOT = Path(__file__).parents[3]

LEASE = 2.0
CYCLES = 4


@attrs.define(eq=False)
class Child:
    """A process, and what it has said."""

    path: Path
    session: str
    backend: str
    program: str = "child"
    out: Path = attrs.field(init=False)
    process: "subprocess.Popen[bytes]" = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.out = self.path.with_name(f"{self.session}.out")
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"tests.modules.sqlite.{self.program}", self.path, *self.arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": "runtime:actors:."},
                stdout=out,
            )

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.session, self.backend, str(LEASE)

    def wait_until_ready(self) -> None:
        until = time.monotonic() + 20
        while b"ready" not in self.out.read_bytes() and time.monotonic() < until:
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def lines(self) -> list[str]:
        """Whole lines only: the last one may have been cut."""
        return self.out.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()


def said(children: list[Child], word: str) -> Counter[str]:
    return Counter(line.split()[1] for child in children for line in child.lines() if line.startswith(word + " "))


@pytest.mark.slow
def test_65_nothing_acknowledged_is_lost_and_nothing_settled_runs_again_whatever_is_killed(path: Path) -> None:
    chance = random.Random(7)
    children: list[Child] = []
    running: list[Child] = []
    for cycle in range(CYCLES):
        while len(running) < 2:
            child = Child(path, f"c{len(children)}", ("trio", "asyncio")[len(children) % 2])
            children.append(child)
            running.append(child)
        running[-1].wait_until_ready()
        time.sleep(chance.uniform(0.05, 0.4))
        victim = running.pop(cycle % 2)
        victim.kill()
    path.with_suffix(".stop").touch()
    last = Child(path, "last", "trio")
    children.append(last)
    statuses = [each.process.wait(timeout=30) for each in (*running, last)]

    stored, settled, begun = (said(children, word) for word in ("stored", "settled", "begun"))
    wanted = {f"{subscription}:{id}" for id in stored for subscription in ("ledger", "mail")}
    assert statuses == [0, 0]
    assert len(stored) > 100
    assert not wanted - set(begun), "lost"
    assert not [id for id, count in settled.items() if count > 1], "settled twice"
    # What was settled without its process having heard of it is at most what one settle held, for each kill.
    assert len(wanted - set(settled)) <= CYCLES * 40
    # A run more for each delivery that was in hand at a kill, not for others.
    assert sum(count - 1 for count in begun.values()) <= CYCLES * 40
    db = apsw.Connection(str(path))
    assert db.pragma("integrity_check") == "ok"
    left = [db.execute(f"SELECT count(*) FROM {table}").get for table in ("events", "waiting", "lent", "records")]
    assert left == [0, 0, 0, 0]
    db.close()


@pytest.mark.slow
def test_65_a_delivery_settled_in_the_file_is_begun_by_nobody_afterwards(path: Path) -> None:
    """In order of the clock of one process: what it settles, it never sees again."""
    child = Child(path, "one", "asyncio")
    child.wait_until_ready()
    time.sleep(0.4)
    child.kill()
    after = Child(path, "two", "trio")
    path.with_suffix(".stop").touch()
    assert after.process.wait(timeout=30) == 0
    assert not set(said([child], "settled")) & set(said([after], "begun"))
    assert set(said([child], "stored")) <= {id.partition(":")[2] for id in said([child, after], "begun")}
