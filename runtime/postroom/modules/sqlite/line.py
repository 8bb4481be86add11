"""The line of a subscription: what waits, sorted for lending.

Of a key only the first that has had its time is in line; the others are behind it, so that whoever fetches does not
step over all of a key that another session has. One that was given back for later closes its key to those after it.

Source: the rule of `ReferenceStore._candidates`, here kept up to date step by step.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, cast

from .registry import Known
from .schema import BEHIND, DELAYED, IN_LINE
from .transaction import Transaction

INSERT: Final = "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

MOST_AT_ONCE: Final = 10_000
"""Delayed deliveries that get in line in one step."""

_FIRST_OF_KEY: Final = """
SELECT * FROM (SELECT state, sort, due, event, head_start FROM waiting
    WHERE subscription = ?1 AND key = ?2 AND state = 0 ORDER BY due, event LIMIT 1)
UNION ALL
SELECT * FROM (SELECT state, sort, due, event, head_start FROM waiting
    WHERE subscription = ?1 AND key = ?2 AND state = 1 ORDER BY due, event LIMIT 1)
UNION ALL
SELECT * FROM (SELECT state, sort, due, event, head_start FROM waiting
    WHERE subscription = ?1 AND key = ?2 AND state = 2 AND due <= ?3 ORDER BY due, event LIMIT 1)
"""

_MOVE: Final = """
UPDATE waiting SET state = ?, sort = ? WHERE subscription = ? AND state = ? AND sort = ? AND due = ? AND event = ?
"""

_DUE: Final = """
SELECT sort, due, event, head_start, key FROM waiting
WHERE subscription = ? AND state = 2 AND sort <= ? ORDER BY sort LIMIT ?
"""


class Share(NamedTuple):
    """A delivery, as it is moved about."""

    subscription: int
    due: float
    event: int
    head_start: float
    key: str | None
    attempts: int
    losses: int


def refresh_key(tx: Transaction, subscription: int, key: str) -> None:
    """Put the first of a key in line, and nothing else of it."""
    rows = cast("list[Any]", tx.db.execute(_FIRST_OF_KEY, (subscription, key, tx.now)).fetchall())
    if not rows:
        return
    first = min(rows, key=lambda row: (row[2], row[3]))
    for state, sort, due, event, head_start in rows:
        if state == IN_LINE and event != first[3]:
            tx.db.execute(_MOVE, (BEHIND, due, subscription, state, sort, due, event))
        elif state == BEHIND and event == first[3]:
            tx.db.execute(_MOVE, (IN_LINE, due + head_start, subscription, state, sort, due, event))


def put_back(tx: Transaction, shares: Iterable[tuple[Share, float]]) -> None:
    """Deliveries wait again, each in its old place, but not before a time."""
    keys: dict[tuple[int, str], None] = {}
    for share, not_before in shares:
        known = tx.registry.by_id[share.subscription]
        if not_before > tx.now:
            state, sort = DELAYED, not_before
        elif share.key is None:
            state, sort = IN_LINE, share.due + share.head_start
        else:
            state, sort = BEHIND, share.due
        tx.db.execute(
            INSERT,
            (
                known.id,
                state,
                sort,
                share.due,
                share.event,
                share.head_start,
                share.key,
                share.attempts,
                share.losses,
                known.droppable,
            ),
        )
        if share.key is not None:
            keys[known.id, share.key] = None
        if known.bounded is not None:
            tx.count_waiting(known.id, 1)
        tx.mail_for(known.id)
    for subscription, key in keys:
        refresh_key(tx, subscription, key)


def next_due(tx: Transaction, known: Known) -> float | None:
    """Let those of a subscription that are due get in line; when the next one is due, on the store's clock."""
    earliest = tx.db.execute("SELECT min(sort) FROM waiting WHERE subscription = ? AND state = 2", (known.id,)).get
    if earliest is None or cast("float", earliest) > tx.now:
        return cast("float | None", earliest)
    keys: dict[str, None] = {}
    for sort, due, event, head_start, key in tx.db.execute(_DUE, (known.id, tx.now, MOST_AT_ONCE)).fetchall():
        if key is None:
            state, new_sort = IN_LINE, cast("float", due) + cast("float", head_start)
        else:
            state, new_sort = BEHIND, cast("float", due)
            keys[cast("str", key)] = None
        tx.db.execute(_MOVE, (state, new_sort, known.id, DELAYED, sort, due, event))
    for key in keys:
        refresh_key(tx, known.id, key)
    return cast(
        "float | None",
        tx.db.execute("SELECT min(sort) FROM waiting WHERE subscription = ? AND state = 2", (known.id,)).get,
    )
