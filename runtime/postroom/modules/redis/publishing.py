"""Events on their way into the store: with whom they go to, at the version of the routes that this process knows.

Where the store has another version, the routes are read anew and the events sent again, under the same number.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

import attrs

from postroom.contract import Answer, Emit, Published, StoredEvent
from postroom.errors import ConflictingEvent, NoSubscriber, PostroomError
from postroom.store_errors import BacklogFull, GroupFull, StoreBusy

from . import scripts, wire
from .caller import Caller
from .faults import MODULE, StaleCall
from .link import Link
from .scripts import Script
from .table import Directory, Match, Table, table_of

MOST_STAGED: Final = 10_000
"""Events in one group."""

MOST_TRIES: Final = 50
"""How often routes may change between two calls before that is an error."""

NO_SUBSCRIBER: Final = 1
CONFLICT: Final = 2
FULL: Final = 3
GROUP_FULL: Final = 4


@attrs.define(eq=False)
class Publishing:
    """The calls that need routes.

    Attributes:
        attempts: The number of the last call, and the routes that it was made with: the same call is made with the
            same ones, since it may have been done.
    """

    _caller: Caller
    _link: Link
    _table: Table | None = attrs.field(default=None, init=False)
    _last: tuple[int, Table] | None = attrs.field(default=None, init=False)

    async def _routes(self) -> Table:
        if self._table is None:
            version, subscriptions = wire.answer(await self._caller.call(self._link, scripts.ROUTES))
            self._table = table_of(version, [(sid, wire.registered(encoded)) for sid, encoded in subscriptions])
        return self._table

    async def _routes_of(self, number: int) -> Table:
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        table = await self._routes()
        self._last = (number, table)
        return table

    def _forget(self, table: Table) -> None:
        self._last = None
        if self._table is table:
            self._table = None

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        """See the contract."""
        for _ in range(MOST_TRIES):
            table = await self._routes_of(number)
            directory = Directory(table)
            written, matches, parcels = _written(emits, directory)
            try:
                reply = await self._caller.call(
                    self._link,
                    scripts.PUBLISH,
                    *(number, table.version, directory.targets, directory.sets, written, len(parcels)),
                    beside=parcels,
                )
            except StaleCall:
                self._forget(table)
                continue
            return _answers(wire.answer(reply), matches)
        raise _restless(self._link)

    async def accept(self, script: Script, arguments: Sequence[Any], events: Emit) -> Any:
        """Run another script that accepts events, as often as the routes change meanwhile; returns its reply."""
        for _ in range(MOST_TRIES):
            table = await self._routes()
            directory = Directory(table)
            (written,), _, parcels = _written([events], directory)
            beyond = (table.version, directory.targets, directory.sets, written, len(parcels))
            try:
                return await self._caller.call(self._link, script, *arguments, *beyond, beside=parcels)
            except StaleCall:
                if self._table is table:  # what a publish was tried with stays: it may have been done
                    self._table = None
        raise _restless(self._link)

    async def stage(self, group: str, events: Emit, ttl: float | None) -> list[Published | None] | PostroomError:
        """See the contract."""
        reply = wire.answer(
            await self._caller.call(
                self._link,
                scripts.STAGE,
                group,
                [wire.staged(event) for event in events],
                False if ttl is None else wire.micro(ttl),
                MOST_STAGED,
                wire.mark_of(group, events),
            )
        )
        if reply[0] == GROUP_FULL:
            return GroupFull(group, MOST_STAGED)
        if reply[0] == CONFLICT:
            return ConflictingEvent(reply[1], "contents")
        return [None if fields is None else wire.published(fields) for fields in reply[1]]

    async def release(self, number: int, group: str) -> tuple[list[str], Answer]:
        """See the contract."""
        names: list[str] = []
        for _ in range(MOST_TRIES):
            table = await self._routes_of(number)
            directory = Directory(table)
            set_of = {name: directory.find(name)[0] for name in names}
            reply = wire.answer(
                await self._caller.call(
                    self._link,
                    scripts.RELEASE,
                    *(number, group, table.version, directory.targets, directory.sets, set_of),
                )
            )
            if len(reply) == 2:
                ids, answer = reply
                return ids, refusal_of(answer) or [wire.published(fields) for fields in answer[1]]
            names = reply[0]
            self._forget(table)
        raise _restless(self._link)


def _restless(link: Link) -> StoreBusy:
    return StoreBusy(MODULE, f"the subscriptions at {link.finder.shown} change all the time")


def _written(emits: Sequence[Emit], directory: Directory) -> tuple[list[Any], list[list[Match]], list[bytes]]:
    """Emits for the script, who gets each event, and their parcels."""
    written: list[Any] = []
    matches: list[list[Match]] = []
    parcels: list[bytes] = []
    find = directory.find
    for events in emits:
        fields: list[Any] = []
        own = []
        run: list[int] | None = None  # of plain events that are alike
        alike = 0.0
        for event in events:
            position, match = find(event.name)
            own.append(match)
            id = event.id.encode()
            parcels.append(id + event.body)
            if event.digest is not None or event.key is not None or event.delay or event.require:
                fields.append(_special(event, position, len(id)))
                run = None
                continue
            head_start = event.head_start
            if run is not None and run[0] == position and run[1] == len(id) and alike == head_start:
                run[2] += 1
                continue
            alike = head_start
            run = [position, len(id), 1, wire.micro(head_start)]
            fields.append(run)
        written.append(fields)
        matches.append(own)
    return written, matches, parcels


def _special(event: StoredEvent, position: int, length: int) -> tuple[Any, ...]:
    digest = event.digest
    return (
        position,
        length,
        None,
        wire.micro(event.head_start),
        wire.micro(event.delay),
        event.key,
        None if digest is None else wire.raw(digest),
        None if digest is None else event.id,
        event.name if event.require else None,
    )


def _answers(reply: Any, matches: list[list[Match]]) -> list[Answer]:
    wall, answers = reply
    if answers is None:
        return [[Published(wall, match.names) for match in own] for own in matches]
    return [_answer(wall, answer, own) for answer, own in zip(answers, matches, strict=True)]


def _answer(wall: float, answer: Any, own: list[Match]) -> Answer:
    if answer is None:
        return [Published(wall, match.names) for match in own]
    refusal = refusal_of(answer)
    if refusal is not None:
        return refusal
    return [
        Published(wall, match.names) if fields is None else wire.published(fields)
        for fields, match in zip(answer[1], own, strict=True)
    ]


def refusal_of(answer: Any) -> PostroomError | None:
    """Why nothing was accepted; None where it was."""
    match answer[0]:
        case 1:
            return NoSubscriber(cast("str", answer[1]))
        case 2:
            return ConflictingEvent(cast("str", answer[1]), "contents")
        case 3:
            return BacklogFull(cast("str", answer[1]), cast("int", answer[2]))
        case _:
            return None
