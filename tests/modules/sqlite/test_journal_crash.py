"""Processes that run workflows on one file, killed with `kill -9` at random moments."""

import random
import time
from collections import Counter
from pathlib import Path

import apsw
import pytest

from .test_crash import Child, said

CYCLES = 4
STEPS = 3


@pytest.mark.slow
def test_84_each_run_is_over_once_with_its_event_whatever_is_killed(path: Path) -> None:
    chance = random.Random(7)
    children: list[Child] = []
    running: list[Child] = []
    for cycle in range(CYCLES):
        while len(running) < 2:
            child = Child(path, f"c{len(children)}", ("trio", "asyncio")[len(children) % 2], "journal_child")
            children.append(child)
            running.append(child)
        running[-1].wait_until_ready()
        time.sleep(chance.uniform(0.1, 0.4))
        running.pop(cycle % 2).kill()
    path.with_suffix(".stop").touch()
    last = Child(path, "last", "trio", "journal_child")
    children.append(last)
    statuses = [each.process.wait(timeout=30) for each in (*running, last)]

    begun, over, taken = (said(children, word) for word in ("begun", "over", "taken"))
    recorded = Counter(
        tuple(line.split()[1:]) for child in children for line in child.lines() if line.startswith("recorded ")
    )
    db = apsw.Connection(str(path))
    runs = dict(db.execute("SELECT id, state FROM runs"))
    counted = "SELECT id, count(*) FROM runs r JOIN run_entries ON run = r.number GROUP BY id"
    entries = dict(db.execute(counted))
    events = Counter(row[0] for row in db.execute("SELECT id FROM events"))
    assert statuses == [0, 0]
    assert len(begun) > 50
    assert taken, "no run was taken up by another"
    assert set(begun) <= set(runs)
    assert set(runs.values()) == {"succeeded"}
    assert max(over.values()) == 1, "concluded twice"
    assert max(recorded.values()) == 1, "a step that was recorded was made again"
    assert set(entries.values()) == {STEPS}
    assert events == Counter(f"of {id}" for id in runs), "each run lets one event out"
    assert db.pragma("integrity_check") == "ok"
    assert db.execute("SELECT count(*) FROM runs WHERE owner IS NOT NULL OR due IS NOT NULL").get == 0
    db.close()
