"""Lending: what a session gets of what waits, in which order."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from postroom.contract import Fetched, Loan

from . import rates
from .line import next_due, refresh_key
from .registry import Known
from .schema import BEHIND, IN_LINE
from .transaction import Newcomers, Transaction

Row: TypeAlias = tuple[float, float, int, float, "str | None", int, int, str, bytes, float, "int | None", int]
"""Sort, due, event, head start, key, attempts, losses; id, body and time of the event; who has its key, and whether
something is behind it."""

FEW: Final = 4
"""Subscriptions that are simply tried; of more it is first asked which have anything."""

_COLUMNS: Final = """
SELECT w.sort, w.due, w.event, w.head_start, w.key, w.attempts, w.losses, e.id, e.body, e.accepted_at{}
FROM waiting w CROSS JOIN events e ON e.number = w.event
"""

_OF_KEYS: Final = """,
    CASE WHEN w.key IS NOT NULL THEN
        (SELECT token FROM lent WHERE lent.subscription = w.subscription AND lent.key = w.key LIMIT 1) END,
    CASE WHEN w.key IS NOT NULL THEN
        EXISTS (SELECT 1 FROM waiting b WHERE b.subscription = w.subscription AND b.key = w.key AND b.state > 0) END
"""

_IN_ORDER: Final = "WHERE w.subscription = ? AND w.state = 0 ORDER BY w.sort, w.due, w.event"
_LINE: Final = _COLUMNS.format(_OF_KEYS) + _IN_ORDER
_UNKEYED_LINE: Final = _COLUMNS.format(", NULL, NULL") + _IN_ORDER
"""As `_LINE`, for one in which nothing has a key: even where a subquery is not taken, it costs a third of the whole."""

_NEXT_OF_KEY: Final = (
    _COLUMNS.format(_OF_KEYS)
    + """
WHERE w.subscription = ?1 AND w.key = ?2 AND w.state = 1 AND (w.due, w.event) > (?3, ?4)
ORDER BY w.due, w.event LIMIT 1
"""
)

_CLOSED_FROM: Final = """
SELECT due, event FROM waiting WHERE subscription = ? AND key = ? AND state = 2 AND due <= ? ORDER BY due, event LIMIT 1
"""

_DELETE_UP_TO: Final = "DELETE FROM waiting WHERE subscription = ? AND state = 0 AND (sort, due, event) <= (?, ?, ?)"
_DELETE: Final = "DELETE FROM waiting WHERE subscription = ? AND state = ? AND sort = ? AND due = ? AND event = ?"
_LEND: Final = "INSERT INTO lent VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"

_OF_NEWCOMERS: Final = "SELECT number, id, body, accepted_at FROM events WHERE number BETWEEN ? AND ? ORDER BY number"
_HAS_LINE: Final = "SELECT 1 FROM waiting WHERE subscription = ? AND state = 0 LIMIT 1"

_OCCUPIED: Final = """
WITH RECURSIVE each(id) AS (
    SELECT min(subscription) FROM waiting
    UNION ALL
    SELECT (SELECT min(subscription) FROM waiting WHERE subscription > each.id) FROM each WHERE each.id IS NOT NULL
)
SELECT id FROM each WHERE id IS NOT NULL
"""


def fetch(tx: Transaction, demand: Mapping[str, int]) -> Fetched:
    """See the contract."""
    loans: list[Loan] = []
    earliest: float | None = None
    occupied: set[int] | None = None
    if len(demand) > FEW:
        occupied = {cast("int", row[0]) for row in tx.db.execute(_OCCUPIED)}
        occupied |= {each.target for each in tx.newcomers}
    for name, count in demand.items():
        known = tx.registry.by_name.get(name)
        if known is None or known.paused or (occupied is not None and known.id not in occupied):
            continue
        due = next_due(tx, known)
        if due is not None:
            earliest = due if earliest is None else min(earliest, due)
        if known.interval is not None:
            opening = _lend_at_rate(tx, known, count, loans)
            if opening is not None:
                earliest = opening if earliest is None else min(earliest, opening)
        elif count > 0:
            loans += _lend(tx, known, count)
    return Fetched(loans, None if earliest is None else earliest - tx.now)


def _lend_at_rate(tx: Transaction, known: Known, count: int, loans: list[Loan]) -> float | None:
    """Lend so many, or what the rate allows; returns when it allows more, where it has cut it short."""
    allowed = rates.allowed(tx, known)
    wanted = min(count, allowed)
    lent = _lend(tx, known, wanted) if wanted > 0 else []
    loans += lent
    rates.attempted(tx, known, len(lent))
    return rates.next_opening(tx, known) if len(lent) == allowed < count else None


def _lend(tx: Transaction, known: Known, count: int) -> list[Loan]:
    own = [each for each in tx.newcomers if each.target == known.id]
    if own:
        if _are_all(tx, own, count):
            return _lend_newcomers(tx, known, own)
        tx.line_up()
    is_keyed = known.id in tx.keyed
    line, rows = _begin(tx, _LINE if is_keyed else _UNKEYED_LINE, known, count)
    if not rows:
        return []
    if not is_keyed and any(row[4] is not None for row in rows):
        tx.keyed.add(known.id)
        line.close()  # type: ignore[attr-defined]  # a cursor
        line, rows = _begin(tx, _LINE, known, count)
    if all(row[4] is None for row in rows):
        line.close()  # type: ignore[attr-defined]
        last = rows[-1]
        tx.db.execute(_DELETE_UP_TO, (known.id, *last[:3]))
    else:
        rows = _choose(tx, known, count, rows, line)
    tokens = tx.next_tokens(len(rows))
    tx.db.executemany(_LEND, [(token, known.id, *row[1:7]) for token, row in zip(tokens, rows, strict=True)])
    if known.bounded is not None:
        tx.count_waiting(known.id, -len(rows))
    name, now = known.name, tx.now
    return [
        Loan(name, token, row[7], row[8], row[9], now - row[1], row[5], row[6])
        for token, row in zip(tokens, rows, strict=True)
    ]


def _are_all(tx: Transaction, own: Sequence[Newcomers], count: int) -> bool:
    """Whether newcomers are all that there is to lend of their subscription, and may be lent."""
    return (
        sum(each.last - each.first + 1 for each in own) <= count and not tx.db.execute(_HAS_LINE, (own[0].target,)).get
    )


def _lend_newcomers(tx: Transaction, known: Known, own: Sequence[Newcomers]) -> list[Loan]:
    """Lend what came in the same transaction and never stands in line."""
    tx.newcomers = [each for each in tx.newcomers if each not in own]
    loans: list[Loan] = []
    lent: list[tuple[Any, ...]] = []
    for run in sorted(own, key=lambda each: each.head_start):
        rows = tx.db.execute(_OF_NEWCOMERS, (run.first, run.last)).fetchall()
        for token, (number, id, body, accepted_at) in zip(tx.next_tokens(len(rows)), cast("Any", rows), strict=True):
            lent.append((token, known.id, tx.now, number, run.head_start, None, 0, 0))
            loans.append(Loan(known.name, token, id, body, accepted_at, 0.0, 0, 0))
    tx.db.executemany(_LEND, lent)
    return loans


def _begin(tx: Transaction, line: str, known: Known, count: int) -> tuple[Iterator[Row], list[Row]]:
    """So many of a line, and the rest of it."""
    rest = cast("Iterator[Row]", tx.db.execute(line, (known.id,)))
    return rest, [row for _, row in zip(range(count), rest, strict=False)]  # in this order no row is lost


def _choose(tx: Transaction, known: Known, count: int, first: list[Row], line: Iterator[Row]) -> list[Row]:
    """Take what may be lent where there are keys: no key of another session's, and none before its turn."""
    taken: list[Row] = []
    states: list[int] = []
    crowded: dict[str, None] = {}
    followers: list[tuple[Any, int, Row]] = []
    heads = _chain(first, line)
    head = next(heads, None)
    while len(taken) < count and (head is not None or followers):
        if head is None or (followers and followers[0][0] < (head[:3], head[1:3])):
            (rank, _), _, row = heapq.heappop(followers)
            states.append(BEHIND)
        else:
            row, rank = head, head[:3]
            head = next(heads, None)
            if row[10] is not None and not tx.owns(row[10]):
                continue
            states.append(IN_LINE)
        taken.append(row)
        if row[4] is not None and row[11]:
            crowded[row[4]] = None
            following = _following(tx, known.id, row)
            if following is not None:
                # Within a key order beats priority: what comes after this one goes behind it.
                own = (following[1] + following[3], following[1], following[2])
                heapq.heappush(followers, ((max(own, rank), following[1:3]), following[2], following))
    line.close()  # type: ignore[attr-defined]  # a cursor
    tx.db.executemany(_DELETE, [(known.id, state, *row[:3]) for state, row in zip(states, taken, strict=True)])
    for key in crowded:
        refresh_key(tx, known.id, key)
    return taken


def _chain(first: list[Row], rest: Iterator[Row]) -> Iterator[Row]:
    yield from first
    yield from rest


def _following(tx: Transaction, subscription: int, row: Row) -> Row | None:
    """The next one of a key that may be lent after this one."""
    found = cast("Row | None", tx.db.execute(_NEXT_OF_KEY, (subscription, row[4], row[1], row[2])).fetchone())
    if found is None:
        return None
    closed = cast("Any", tx.db.execute(_CLOSED_FROM, (subscription, row[4], tx.now)).fetchone())
    return None if closed is not None and closed < found[1:3] else found
