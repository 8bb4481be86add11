"""The same calls of the journal in the same order give the same results on the file and on the reference store."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from postroom.contract import Binding, News, Notice
from postroom.modules.sqlite import journalling, lending, operating
from tests.modules.journal_model import JournalMachine

from .driver import Driver, HandClock

FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class SameAsReference(JournalMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock(now=100.0)
        self.folder = tempfile.TemporaryDirectory(dir=FAST)
        self.drivers: dict[str, Driver] = {}

    @property
    def now(self) -> float:
        return self.clock.now

    @now.setter
    def now(self, now: float) -> None:
        self.clock.now = now

    def teardown(self) -> None:
        for driver in self.drivers.values():
            driver.tx.db.close(True)
        self.folder.cleanup()

    def start(self, slot: str) -> None:
        if slot in self.drivers:
            self.drivers[slot].tx.db.close(True)
        path = Path(self.folder.name) / "events.db"
        self.drivers[slot] = Driver(path, self.clock.machine(), self.names[slot])
        self.drivers[slot].tx.db.execute("PRAGMA synchronous = OFF")

    def end(self, slot: str) -> None:
        self.drivers[slot].leave()

    def on_reference(self, slot: str, call: Any) -> Any:
        def renewed(session: str) -> Any:
            own = self.reference.sessions[session]
            if own.lease_until - self.now < self.reference.lease * 2 / 3:  # as each transaction does
                own.lease_until = self.now + self.reference.lease
            return call(session)

        return super().on_reference(slot, renewed)

    def real(self, slot: str, call: str, *arguments: Any) -> Any:
        step = journalling.listing if call == "runs" else getattr(journalling, call)
        return self.drivers[slot].run(step, *arguments)

    def renew(self, slot: str) -> None:
        self.drivers[slot].run(lambda tx: None)

    def bind(self, slot: str, binding: Binding) -> None:
        self.drivers[slot].bind(binding)

    def fetch(self, slot: str) -> list[str]:
        return [loan.id for loan in self.drivers[slot].run(lending.fetch, {"ledger": 100}).loans]

    def heard(self, slot: str) -> list[Notice]:
        news: News = self.drivers[slot].run(operating.notices, 0)
        after: News = self.drivers[slot].run(operating.notices, news.number)
        assert not after.notices
        return list(news.notices)

    def leftovers(self) -> list[str]:
        db = self.drivers["one"].tx.db
        orphans = """
        SELECT 'entry ' || key FROM run_entries WHERE run NOT IN (SELECT number FROM runs)
        UNION ALL SELECT 'watcher ' || session FROM run_watchers
            WHERE run NOT IN (SELECT number FROM runs WHERE forget_at IS NULL)
        UNION ALL SELECT 'state of ' || id FROM runs WHERE (due IS NOT NULL) + (owner IS NOT NULL)
            <> (state IN ('running', 'compensating'))
        UNION ALL SELECT 'end of ' || id FROM runs
            WHERE (forget_at IS NOT NULL) <> (state IN ('succeeded', 'failed', 'cancelled'))
        """
        return [str(row[0]) for row in db.execute(orphans)]


TestSameAsReference = pytest.mark.slow(SameAsReference.TestCase)
TestSameAsReference.settings = settings(
    max_examples=60, stateful_step_count=50, phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False
)
