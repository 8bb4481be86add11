"""A file of the release before: what is in it stays, what is new is added, and that release's processes go on."""

from pathlib import Path

import apsw

from postroom.contract import Settlement, Step
from postroom.journal import NewRun, RunLoan
from postroom.modules.sqlite import SqliteModule, journalling, schema
from postroom.modules.sqlite.opening import set_up

from .calls import LEDGER, NUMBERS, fetch
from .driver import Driver, HandClock


def old_file(path: Path) -> apsw.Connection:
    """A file as version 1 made it: nothing but that step has been there."""
    db = apsw.Connection(str(path))
    set_up(db, "process")
    db.execute(schema.MIGRATIONS[0])
    db.execute(f"PRAGMA application_id = {schema.APPLICATION}")
    db.execute("PRAGMA user_version = 1")
    return db


def tables_of(db: apsw.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


async def test_a_file_of_version_1_is_read_and_has_a_journal_then(path: Path) -> None:
    db = old_file(path)
    db.execute("INSERT INTO subscriptions (name, patterns, overflow) VALUES ('ledger', '[\"order.*\"]', 'wait')")
    db.execute("INSERT INTO events VALUES (7, 1, 1, 1700000000.0, 'e', x'626f6479')")
    db.execute("INSERT INTO waiting VALUES (1, 0, 5.0, 0.0, 7, 5.0, NULL, 1, 0, NULL)")
    db.execute("UPDATE state SET number = 8")
    db.close()
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        (loan,) = await fetch(store)
        assert (loan.id, loan.body, loan.attempts) == ("e", b"body", 1)
        assert await store.settle(next(NUMBERS), [Settlement(loan.token, Step.SETTLED, b"{}")]) == [True]
        run = await store.journal.begin(1, NewRun("a", "ship", b"", b""), lend=True)  # type: ignore[attr-defined]
        assert isinstance(run, RunLoan)
    db = apsw.Connection(str(path))
    assert db.pragma("user_version") == schema.VERSION == 3
    assert db.pragma("integrity_check") == "ok"


def test_what_version_1_had_is_as_it_was(path: Path) -> None:
    """So statements that a process of the release before has prepared still hold."""
    db = old_file(path)
    before = tables_of(db)
    schema.migrate(db, str(path))
    after = tables_of(db)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) >= {"runs", "run_entries", "run_series", "run_watchers", "run_notices"}


def test_a_migrated_file_has_the_tables_of_a_new_one(path: Path) -> None:
    old, new = old_file(path), apsw.Connection(str(path.with_name("new.db")))
    set_up(new, "process")
    for db in (old, new):
        schema.migrate(db, str(path))
    assert tables_of(old) == tables_of(new)


def test_the_runs_of_a_session_that_the_release_before_saw_off_are_taken_up(path: Path) -> None:
    """It knew no runs, and left them with a session that is gone: whoever begins next finds them."""
    clock = HandClock(now=100.0)
    one = Driver(path, clock.machine(), "one")
    begun = one.run(journalling.begin, 1, NewRun("a", "ship", b"", b""), True)
    assert isinstance(begun, RunLoan)
    one.tx.db.execute("UPDATE sessions SET over_at = 100.0")  # all that the release before did about it
    one.close()
    two = Driver(path, clock.machine(), "two")
    (loan,) = two.run(journalling.take, {"ship": 5}).loans
    assert (loan.run.id, loan.run.losses) == ("a", 1)
    two.close()


def test_a_file_of_version_2_gets_what_counts_rates_and_series(path: Path) -> None:
    db = old_file(path)
    db.execute(schema.MIGRATIONS[1])
    db.execute("PRAGMA user_version = 2")
    before = tables_of(db)
    schema.migrate(db, str(path))
    after = tables_of(db)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"rates", "run_series"}
