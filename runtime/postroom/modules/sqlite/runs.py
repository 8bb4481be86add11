"""Runs of workflows as rows: who has one, what waits, whom to tell, and when they are forgotten."""

from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple, cast

from postroom.contract import Notice
from postroom.journal import Entry, RunState, StoredRun

from .transaction import MAIL, NOTICES, Transaction

MOST_FORGOTTEN: Final = 1000
"""Runs that are forgotten in one step, where their time has come."""

_COLUMNS: Final = """
SELECT number, token, owner, due, begun_by, call, id, workflow, state, input, digest, result, losses,
    created_at, changed_at, starts_at, lane
FROM runs
"""

BY_ID: Final = _COLUMNS + "WHERE id = ?"
BY_LANE: Final = _COLUMNS + "WHERE lane = ? AND lane <> '' AND forget_at IS NULL"
THAT_WAIT: Final = _COLUMNS + "WHERE workflow = ? AND due <= ? ORDER BY due, number LIMIT ?"
IN_STATE: Final = _COLUMNS + "WHERE state = ? AND workflow = ? AND id > ? ORDER BY id LIMIT ?"

_ENTRIES: Final = "SELECT kind, key, body FROM run_entries WHERE run = ? ORDER BY number"
_COUNT: Final = "SELECT count(*), max(at) FROM run_entries WHERE run = ?"
_HAS: Final = "SELECT 1 FROM run_entries WHERE run = ? AND kind = ? AND key = ?"
_WRITE: Final = "INSERT OR IGNORE INTO run_entries VALUES (?, ?, ?, ?, ?, ?)"

_WAIT: Final = "UPDATE runs SET owner = NULL, due = ?, losses = losses + ? WHERE number = ?"

_ORPHANS: Final = """
SELECT number FROM runs WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM sessions WHERE over_at IS NULL)
"""

_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608 - constants
    for table, column in (("runs", "number"), ("run_entries", "run"), ("run_watchers", "run"))
)


class Row(NamedTuple):
    """A run as it stands in the file, without its entries."""

    number: int
    token: int | None
    owner: int | None
    due: float | None
    begun_by: int
    call: int
    id: str
    workflow: str
    state: str
    input: bytes
    digest: bytes
    result: bytes
    losses: int
    created_at: float
    changed_at: float
    starts_at: float
    lane: str


def find(tx: Transaction, query: str, *arguments: Any) -> Row | None:
    """The run that one of the queries above finds."""
    row = tx.db.execute(query, arguments).fetchone()
    return None if row is None else Row(*cast("Any", row))


def find_all(tx: Transaction, query: str, *arguments: Any) -> list[Row]:
    """The runs that one of the queries above finds."""
    return [Row(*cast("Any", row)) for row in tx.db.execute(query, arguments).fetchall()]


def stored(tx: Transaction, row: Row) -> StoredRun:
    """A run as others see it."""
    count, latest = cast("Any", tx.db.execute(_COUNT, (row.number,)).fetchone())
    return StoredRun(
        id=row.id,
        workflow=row.workflow,
        state=RunState(row.state),
        input=row.input,
        digest=row.digest,
        result=row.result,
        owner=None if row.owner is None else tx.registry.sessions.get(row.owner),
        losses=row.losses,
        created_at=row.created_at,
        changed_at=row.changed_at if latest is None else max(row.changed_at, latest),
        starts_at=row.starts_at,
        entries=count,
        lane=row.lane,
    )


def count_of(tx: Transaction, run: int) -> int:
    """How many entries a run's journal has."""
    count, _ = cast("Any", tx.db.execute(_COUNT, (run,)).fetchone())
    return cast("int", count)


def has(tx: Transaction, run: int, kind: str, key: str) -> bool:
    """Whether a run's journal has an entry."""
    return tx.db.execute(_HAS, (run, kind, key)).get is not None


def entries_of(tx: Transaction, run: int) -> tuple[Entry, ...]:
    """What is written in a run's journal."""
    return tuple(Entry(*cast("Any", row)) for row in tx.db.execute(_ENTRIES, (run,)))


def write(tx: Transaction, run: int, entries: Collection[Entry]) -> None:
    """Write to a run's journal what is not there yet."""
    at = tx.clock.wall()
    for each in entries:
        tx.db.execute(_WRITE, (run, each.kind, each.key, tx.next_number(), at, each.body))


# Who has it


def lend(tx: Transaction, row: Row, token: int) -> Row:
    """The session that calls has it from now on."""
    tx.db.execute("UPDATE runs SET owner = ?, token = ?, due = NULL WHERE number = ?", (tx.session, token, row.number))
    return row._replace(owner=tx.session, token=token, due=None)


def wait(tx: Transaction, runs: Iterable[int], due: float, *, lost: bool = False) -> None:
    """Nobody has these; they may be taken up from some time on."""
    waiting = [(due, int(lost), run) for run in runs]
    if waiting:
        tx.db.executemany(_WAIT, waiting)
        mail(tx)


def mail(tx: Transaction) -> None:
    """There may be runs to take up."""
    tx.wake_all(tx.registry.sessions, MAIL)


def give_runs_back(tx: Transaction, session: int, holding: Collection[int] = (), *, lost: bool = False) -> None:
    """Others may take up what a session has, but for the loans of some tokens; with `lost` it was taken for dead."""
    held = set(holding)
    rows = cast("Any", tx.db.execute("SELECT number, token FROM runs WHERE owner = ?", (session,)).fetchall())
    wait(tx, [number for number, token in rows if token not in held], tx.now, lost=lost)


def take_orphans(tx: Transaction) -> None:
    """Others may take up what sessions have that are gone: a release that knew no runs may have seen them off."""
    rows = tx.db.execute(_ORPHANS).fetchall()
    wait(tx, [cast("int", number) for (number,) in rows], tx.now, lost=True)


# Whom to tell


def watch(tx: Transaction, row: Row) -> None:
    """The session that calls is told when another one concludes it. Whoever began it watches it anyway."""
    if row.begun_by != tx.session:
        tx.db.execute("INSERT OR IGNORE INTO run_watchers VALUES (?, ?)", (row.number, tx.session))


def tell_watchers(tx: Transaction, number: int, begun_by: int, id: str, *, is_over: bool, but: int = 0) -> None:
    """It was concluded, or forgotten before it was over. Of what is over nobody is told anything more."""
    watchers = tx.db.execute("SELECT session FROM run_watchers WHERE run = ?", (number,)).fetchall()
    if watchers and is_over:
        tx.db.execute("DELETE FROM run_watchers WHERE run = ?", (number,))
    tell(tx, id, [each for each in (begun_by, *(cast("int", row[0]) for row in watchers)) if each != but])


def tell(tx: Transaction, id: str, sessions: Collection[int]) -> None:
    """Tell sessions of a run."""
    if not sessions:
        return
    registry = tx.registry
    told = [each for each in sessions if each in registry.sessions or each in registry.lingering]
    if told:
        numbers = tx.next_numbers(len(told))
        tx.db.executemany(
            "INSERT INTO run_notices VALUES (?, ?, ?)",
            [(session, number, id) for session, number in zip(told, numbers, strict=True)],
        )
        tx.wake_all(told, NOTICES)


def notices_of_runs(tx: Transaction, seen: int) -> list[tuple[int, Notice]]:
    """What a session is told of runs, with everything up to `seen` forgotten."""
    tx.db.execute("DELETE FROM run_notices WHERE session = ? AND number <= ?", (tx.session, seen))
    rows = tx.db.execute("SELECT number, run FROM run_notices WHERE session = ? ORDER BY number", (tx.session,))
    return [(number, Notice("", run=run)) for number, run in cast("Any", rows)]


# When they are forgotten


def forget(tx: Transaction, number: int) -> None:
    """A run is gone."""
    for statement in _FORGET:
        tx.db.execute(statement, (number,))


def forget_old_runs(tx: Transaction) -> None:
    """Forget runs that have been over for long enough, some at a time."""
    due = tx.db.execute(
        "SELECT number FROM runs WHERE forget_at <= ? ORDER BY forget_at LIMIT ?", (tx.now, MOST_FORGOTTEN)
    )
    for (number,) in due.fetchall():
        forget(tx, cast("int", number))
