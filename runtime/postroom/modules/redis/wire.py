"""How arguments and answers of the scripts are written: msgpack, with what the server only carries left packed.

Units: microseconds on the wire, seconds here.
"""

import hashlib
import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from postroom.contract import (
    Emit,
    Fetched,
    Letter,
    Loan,
    News,
    Notice,
    Published,
    Settlement,
    StagedGroup,
    Step,
    StoredEvent,
    StoredLetter,
    StoredSubscription,
)

from .table import Registered

FURTHEST: Final = 7_000_000_000_000_000
"""Some 220 years: the longest delay that keeps times exact."""

MAIL, ROOM, ROUTES, LOST = 1, 2, 4, 8

_encoder: Final = msgspec.msgpack.Encoder()
_answer: Final = msgspec.msgpack.Decoder()
_registered: Final = msgspec.msgpack.Decoder(Registered)
_letter: Final = msgspec.msgpack.Decoder(Letter)
_EVENT: Final = struct.Struct(">dBHH")
_HEAD: Final = struct.Struct(">HQdII")
_DUE: Final = struct.Struct(">d")
_TEXT: Final = struct.Struct(">BI")

encode: Final = _encoder.encode


def raw(data: bytes) -> msgspec.Raw:
    """Bytes for a script. Its msgpack knows no bytes, but its texts are bytes."""
    return msgspec.Raw(_TEXT.pack(0xDB, len(data)) + data)


def micro(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return min(round(seconds * 1_000_000), FURTHEST)


def parcel_of(event: StoredEvent) -> tuple[int, bytes]:
    """An event as it is kept, its id and its body; and the length of the id."""
    id = event.id.encode()
    return len(id), id + event.body


def staged(event: StoredEvent) -> tuple[Any, ...]:
    """An event that is to be staged."""
    length, parcel = parcel_of(event)
    digest = None if event.digest is None else raw(event.digest)
    return (
        event.id,
        event.name,
        length,
        raw(parcel),
        micro(event.head_start),
        micro(event.delay),
        event.key,
        digest,
        event.require,
    )


def mark_of(group: str, events: Emit) -> str | None:
    """Names a call of `stage`, where an id comes once; None where all ids are the user's."""
    if all(event.digest is not None for event in events):
        return None
    return hashlib.blake2b(encode([group, [event.id for event in events]]), digest_size=16).hexdigest()


def steps(settlements: Iterable[Settlement]) -> list[tuple[Any, ...]]:
    """Steps of loans."""
    return [_step(each) for each in settlements]


def _step(each: Settlement) -> tuple[Any, ...]:
    match each.step:
        case Step.SETTLED:
            letter = None if each.letter is None else raw(encode(each.letter))
            return (each.token, None, each.attempts, raw(each.outcome), letter)
        case Step.RETURNED:
            return (each.token, micro(each.wait), each.attempts)
        case Step.RETRYING:
            return (each.token, micro(each.wait), -1 - each.attempts)


def answer(reply: bytes) -> Any:
    """Any answer."""
    return _answer.decode(reply)


def published(fields: Sequence[Any]) -> Published:
    """What became of one event."""
    accepted_at, names, outcomes, body = fields
    return Published(accepted_at, tuple(names), outcomes, body)


def fetched(reply: Sequence[bytes], names: Sequence[str]) -> Fetched:
    """Loans: of each a head, with the position of its subscription in what was asked, and the event as it is kept."""
    due, heads, *records = reply
    loans = []
    for (position, token, age, attempts, losses), record in zip(_HEAD.iter_unpack(heads), records, strict=True):
        accepted_at, _, watcher, id = _EVENT.unpack_from(record)
        begin = _EVENT.size + watcher
        body = begin + id
        event = record[begin:body].decode()
        loans.append(Loan(names[int(position)], token, event, record[body:], accepted_at, age, attempts, losses))
    return Fetched(loans, _DUE.unpack(due)[0] if due else None)


def news(reply: bytes) -> News:
    """News with the number of its last entry."""
    number, flags, notices = _answer.decode(reply)
    return News(
        number,
        tuple(
            Notice(event, subscription, outcome, None if fields is None else published(fields), cleared)
            if event
            else Notice("", run=subscription)
            for event, subscription, outcome, fields, cleared in notices
        ),
        bool(flags & MAIL),
        bool(flags & ROOM),
        bool(flags & ROUTES),
        bool(flags & LOST),
    )


def letters(reply: bytes) -> list[StoredLetter]:
    """Dead letters."""
    return [
        StoredLetter(id, name, event, body, accepted_at, _letter.decode(letter), time)
        for id, name, event, body, accepted_at, letter, time in _answer.decode(reply)
    ]


def registered(encoded: bytes) -> Registered:
    """A subscription as it was registered."""
    return _registered.decode(encoded)


def listing(reply: bytes) -> list[StoredSubscription]:
    """All subscriptions, by name."""
    found = []
    for encoded, waiting, delayed, lent, dead, servers, paused in _answer.decode(reply):
        own = registered(encoded)
        found.append(
            StoredSubscription(own.name, own.patterns, waiting, delayed, lent, dead, tuple(sorted(servers)), paused)
        )
    return sorted(found, key=lambda each: each.name)


def groups(reply: bytes) -> list[StagedGroup]:
    """The groups in which something is staged."""
    return [
        StagedGroup(id, count, None if left == math.inf else left / 1_000_000)
        for id, count, left in _answer.decode(reply)
    ]
