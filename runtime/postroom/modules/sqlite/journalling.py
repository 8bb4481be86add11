"""The calls of the journal: each is a step of a transaction, which others may share."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from postroom.contract import Answer, Emit, Published
from postroom.journal import ASLEEP, OVER, Entry, NewRun, RunLoan, RunState, StoredRun, Taken

from . import runs
from .publishing import accept_all
from .runs import Row
from .transaction import Transaction

_BEGIN: Final = """
INSERT INTO runs (number, id, workflow, state, awake, due, owner, token, begun_by, call, created_at, changed_at,
    starts_at, lane, digest, input)
VALUES (?, ?, ?, 'running', 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_COUNT_IN_SERIES: Final = """
INSERT INTO run_series SELECT ?1, 1 WHERE ?2 > 0
ON CONFLICT (name) DO UPDATE SET count = count + 1 WHERE count < ?2
RETURNING count
"""

_NEXT_DUE: Final = "SELECT min(due) FROM runs WHERE workflow = ? AND due IS NOT NULL"

_LENT: Final = "SELECT number, state FROM runs WHERE token = ? AND owner = ?"

_CONCLUDED: Final = "SELECT number, owner, state, begun_by, id, answer FROM runs WHERE token = ?"

_CONCLUDE: Final = """
UPDATE runs SET state = ?, result = ?, answer = ?, owner = NULL, changed_at = ?, forget_at = ? WHERE number = ?
"""

_WAKE: Final = """
UPDATE runs SET state = awake, result = x'', answer = NULL, losses = 0, changed_at = ? WHERE number = ?
"""

_REOPEN: Final = """
UPDATE runs SET state = 'compensating', awake = 'compensating', result = x'', answer = NULL, losses = 0, changed_at = ?,
    forget_at = NULL, token = NULL, lane = '', begun_by = 0
WHERE number = ?
"""

_WORKFLOWS: Final = """
WITH RECURSIVE each(name) AS (
    SELECT min(workflow) FROM runs WHERE state = ?1
    UNION ALL
    SELECT (SELECT min(workflow) FROM runs WHERE state = ?1 AND workflow > each.name) FROM each
    WHERE each.name IS NOT NULL
)
SELECT name FROM each WHERE name IS NOT NULL
"""

_answers: Final = msgspec.msgpack.Decoder(list[Published])


def begin(tx: Transaction, number: int, new: NewRun, lend: bool) -> RunLoan | StoredRun | None:
    """See the contract."""
    row = runs.find(tx, runs.BY_ID, new.id) or (runs.find(tx, runs.BY_LANE, new.lane) if new.lane else None)
    if row is None:
        if new.series and tx.db.execute(_COUNT_IN_SERIES, (new.series, new.most)).get is None:
            return None
        return _begin(tx, number, new, lend)
    if row.state not in OVER:
        runs.watch(tx, row)
    is_the_same_call = (row.begun_by, row.call, row.owner) == (tx.session, number, tx.session) and lend
    return _loan(tx, row) if is_the_same_call else runs.stored(tx, row)


def _begin(tx: Transaction, number: int, new: NewRun, lend: bool) -> RunLoan | StoredRun:
    wall = tx.clock.wall()
    due = None if lend else tx.now + new.delay
    owner, token = (tx.session, tx.next_tokens(1)[0]) if lend else (None, None)
    times = (wall, wall, wall + new.delay)
    own = (tx.next_number(), new.id, new.workflow, due, owner, token, tx.session, number)
    tx.db.execute(_BEGIN, (*own, *times, new.lane, new.digest, new.input))
    begun = StoredRun(
        *(new.id, new.workflow, RunState.RUNNING, new.input, new.digest, b"", tx.name if lend else None, 0),
        *(*times, 0, new.lane),
    )
    if token is not None:
        return RunLoan(token, begun, now=wall)
    runs.mail(tx)
    return begun


def take(tx: Transaction, workflows: Mapping[str, int]) -> Taken:
    """See the contract."""
    loans: list[RunLoan] = []
    next_due: float | None = None
    for workflow, count in workflows.items():
        found = runs.find_all(tx, runs.THAT_WAIT, workflow, tx.now, count)
        for row, token in zip(found, tx.next_tokens(len(found)), strict=True):
            loans.append(_loan(tx, runs.lend(tx, row, token)))
        due = cast("float | None", tx.db.execute(_NEXT_DUE, (workflow,)).get)
        if due is not None:
            next_due = due if next_due is None else min(next_due, due)
    return Taken(loans, None if next_due is None else max(0.0, next_due - tx.now))


def _loan(tx: Transaction, row: Row) -> RunLoan:
    assert row.token is not None, "nobody has it"
    return RunLoan(row.token, runs.stored(tx, row), runs.entries_of(tx, row.number), tx.clock.wall())


# What is done with a loan


def _lent(tx: Transaction, token: int) -> tuple[int, str] | None:
    """The number and the state of a run that the calling session has."""
    if not tx.owns(token):
        return None
    return cast("tuple[int, str] | None", tx.db.execute(_LENT, (token, tx.session)).fetchone())


def record(tx: Transaction, token: int, entries: Sequence[Entry], state: RunState | None) -> bool:
    """See the contract."""
    found = _lent(tx, token)
    if found is None:
        return False
    number, before = found
    if entries:
        runs.write(tx, number, entries)
    if state is not None and state != before:
        wall = tx.clock.wall()
        tx.db.execute(
            "UPDATE runs SET state = ?1, awake = ?1, changed_at = ?2 WHERE number = ?3", (state.value, wall, number)
        )
    return True


def conclude(
    tx: Transaction,
    token: int,
    state: RunState,
    result: bytes,
    events: Emit,
    keep: float,
    unless: tuple[str, str] | None = None,
) -> "Answer | Literal[False] | None":
    """See the contract."""
    row = tx.db.execute(_CONCLUDED, (token,)).fetchone()
    if row is None:
        return None
    number, owner, before, begun_by, id, encoded = cast("Any", row)
    if owner is None and before in ASLEEP:  # the same call as before
        return [] if encoded is None else _answers.decode(encoded)
    if owner != tx.session or not tx.owns(token):
        return None
    if unless is not None and runs.has(tx, number, *unless):
        return False
    answer: Answer = []
    if events:
        (answer,) = accept_all(tx, [events])
    if not isinstance(answer, list):
        return answer
    encoded = msgspec.msgpack.encode(answer) if answer else None
    forget_at = tx.now + max(keep, tx.terms.lease) if state in OVER else None
    tx.db.execute(_CONCLUDE, (state.value, result, encoded, tx.clock.wall(), forget_at, number))
    runs.tell_watchers(tx, number, begun_by, id, is_over=state in OVER, but=tx.session)
    return answer


def hand_back(tx: Transaction, token: int, wait: float, known: int | None) -> bool:
    """See the contract."""
    found = _lent(tx, token)
    if found is not None:
        has_more = known is not None and runs.count_of(tx, found[0]) > known
        runs.wait(tx, [found[0]], tx.now if has_more else tx.now + wait)
    return found is not None


def reclaim(tx: Transaction, holding: Collection[int]) -> None:
    """See the contract."""
    runs.give_runs_back(tx, tx.session, holding)


# From outside


def signal(tx: Transaction, run: str, entry: Entry) -> bool:
    """See the contract."""
    row = runs.find(tx, runs.BY_ID, run)
    if row is None or row.state in OVER:
        return False
    before = tx.db.total_changes()
    runs.write(tx, row.number, [entry])
    if tx.db.total_changes() > before:
        if row.owner is not None:
            runs.tell(tx, run, [row.owner])
        elif row.due is not None and row.due > tx.now:
            runs.wait(tx, [row.number], tx.now)
    return True


def wake(tx: Transaction, run: str) -> bool:
    """See the contract."""
    row = runs.find(tx, runs.BY_ID, run)
    if row is None or row.state in OVER or row.state not in ASLEEP:
        return False
    tx.db.execute(_WAKE, (tx.clock.wall(), row.number))
    runs.wait(tx, [row.number], tx.now)
    return True


def reopen(tx: Transaction, run: str, entry: Entry) -> bool:
    """See the contract."""
    row = runs.find(tx, runs.BY_ID, run)
    if row is None or row.state != RunState.SUCCEEDED:
        return False
    runs.write(tx, row.number, [entry])
    tx.db.execute(_REOPEN, (tx.clock.wall(), row.number))
    runs.wait(tx, [row.number], tx.now)
    return True


def run(tx: Transaction, id: str, watch: bool) -> RunLoan | None:
    """See the contract."""
    row = runs.find(tx, runs.BY_ID, id)
    if row is None:
        return None
    if watch and row.state not in OVER:
        runs.watch(tx, row)
    return RunLoan(0, runs.stored(tx, row), runs.entries_of(tx, row.number), tx.clock.wall())


def listing(
    tx: Transaction, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
) -> list[StoredRun]:
    """See the contract."""
    parts: list[Iterator[Row]] = []
    for state in RunState if states is None else set(states):
        names = [workflow] if workflow is not None else [row[0] for row in tx.db.execute(_WORKFLOWS, (state.value,))]
        for name in cast("list[Any]", names):
            parts.append(iter(runs.find_all(tx, runs.IN_STATE, state.value, name, after or "", limit)))
    merged = heapq.merge(*parts, key=lambda row: row.id)
    return [runs.stored(tx, row) for row, _ in zip(merged, range(limit), strict=False)]


def forget(tx: Transaction, ids: Collection[str]) -> int:
    """See the contract."""
    count = 0
    for id in ids:
        row = runs.find(tx, runs.BY_ID, id)
        if row is not None and row.state in ASLEEP:
            if row.state not in OVER:
                runs.tell_watchers(tx, row.number, row.begun_by, row.id, is_over=False)
            runs.forget(tx, row.number)
            count += 1
    return count
