"""Steps of loans: settled, returned, to be tried again; and loans that come back without one."""

from collections.abc import Collection, Sequence
from typing import Any, Final, cast

import msgspec

from postroom.contract import Letter, Settlement, Step

from . import rates
from .endings import Ending, finish
from .line import Share, put_back
from .removal import Removal
from .transaction import LEASES, Transaction

_TAKE: Final = """
DELETE FROM lent WHERE token = ?
RETURNING subscription, due, event, head_start, key, attempts, losses, not_before, token
"""

_OF_LEASE: Final = f"(token & {LEASES - 1}) = ?"
"""No index: what is lent is as much as the mailboxes hold, and this is asked when sessions end."""

_TAKE_ALL: Final = _TAKE.replace("token = ?", _OF_LEASE)

_TOKENS: Final = f"SELECT token FROM lent WHERE {_OF_LEASE}"  # noqa: S608 - a constant

_end: Final = Removal.of("lent", "token", "token, subscription, event, key")

_BURY: Final = """
INSERT INTO letters SELECT ?, ?, id, accepted_at, ?, ?, body FROM events WHERE number = ?
"""


def settle(tx: Transaction, number: int, settlements: Sequence[Settlement]) -> list[bool]:
    """See the contract."""
    return tx.settled_once(number, lambda: _settle_all(tx, settlements))


def _settle_all(tx: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    ends = [each for each in settlements if each.step is Step.SETTLED]
    if len(ends) == len(settlements):
        return _settle(tx, settlements)
    return [_settle(tx, (each,))[0] if each.step is Step.SETTLED else _keep_on(tx, each) for each in settlements]


def _settle(tx: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    taken = {row[0]: row for row in _end(tx.db, [each.token for each in settlements if tx.owns(each.token)])}
    by_id = tx.registry.by_id
    endings: list[Ending] = []
    keys: dict[tuple[int, str], None] = {}
    done: list[bool] = []
    for settlement in settlements:
        row = taken.pop(settlement.token, None)
        done.append(row is not None)
        if row is None:
            continue
        _, subscription, event, key = row
        name = by_id[subscription].name
        if settlement.letter is not None:
            _bury(tx, settlement.token, event, name, settlement.letter)
        if key is not None:
            keys[subscription, key] = None
        endings.append(Ending(event, name, settlement.outcome))
    finish(tx, endings, tx.session)
    for subscription, key in keys:
        _tell_of_key(tx, subscription, key)
    return done


def _tell_of_key(tx: Transaction, subscription: int, key: str) -> None:
    """What waits of a key may go to other sessions once none of it is lent."""
    if tx.db.execute(
        "SELECT 1 FROM waiting WHERE subscription = ? AND key = ? AND state = 0 LIMIT 1", (subscription, key)
    ).get:
        tx.mail_for(subscription)


def _bury(tx: Transaction, token: int, event: int, subscription: str, letter: Letter) -> None:
    encoded = msgspec.msgpack.encode(letter)
    tx.db.execute(_BURY, (token, subscription, tx.clock.wall(), encoded, event))


def _keep_on(tx: Transaction, settlement: Settlement) -> bool:
    """A step after which it is not over."""
    if not tx.owns(settlement.token):
        return False
    until = tx.now + settlement.wait
    if settlement.step is Step.RETRYING:
        changed = tx.db.execute(
            "UPDATE lent SET attempts = ?, not_before = ? WHERE token = ? RETURNING subscription",
            (settlement.attempts, until, settlement.token),
        )
        found = cast("tuple[int] | None", changed.fetchone())
        if found is not None:
            rates.attempted(tx, tx.registry.by_id[found[0]], 1)
        return found is not None
    row = cast("Any", tx.db.execute(_TAKE, (settlement.token,)).fetchone())
    if row is None:
        return False
    share = Share(*row[:7])._replace(attempts=settlement.attempts)
    put_back(tx, [(share, until)])
    return True


def reclaim(tx: Transaction, holding: Collection[int]) -> None:
    """See the contract."""
    give_back(tx, tx.incarnation, holding)


def give_back(tx: Transaction, incarnation: int, but: Collection[int] = (), *, lost: bool = False) -> None:
    """What is lent under a lease waits again, but for some; with a loss more where it was `lost`."""
    lease = (incarnation,)
    if but:
        held = set(but)
        tokens = [row[0] for row in tx.db.execute(_TOKENS, lease)]
        rows = tx.db.executemany(_TAKE, [(token,) for token in tokens if token not in held]).fetchall()
    else:
        rows = tx.db.execute(_TAKE_ALL, lease).fetchall()
    shares = [(Share(*row[:7]), cast("float", row[7])) for row in rows]  # type: ignore[arg-type]
    put_back(tx, [(share._replace(losses=share.losses + lost), not_before) for share, not_before in shares])
