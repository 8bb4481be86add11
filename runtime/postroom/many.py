"""Emitting several events in one call: all of them are accepted, or none."""

from collections.abc import Iterable
from typing import TypeAlias

import attrs
import msgspec

from postroom_actors import Admission

from .deadlock import waiting
from .deduplication import check_same
from .dispatcher import Targets
from .drafts import caused, event_of
from .emitter import Emitter
from .errors import InvalidOption
from .event import Event
from .event_types import Emitted, declaration_of
from .options import is_special
from .receipt import Entrance, Receipt, wait_for_room
from .room import check_room

Draft: TypeAlias = tuple[Event, Event | None]
"""An event that was checked; and, where its user chose its id, the same as the user gave it."""


@attrs.define(eq=False)
class ManyEmitter(Emitter):
    """What a runtime does with several events at once."""

    async def emit_many(self, events: Iterable[Emitted]) -> list[Receipt]:
        """Emit several events, each an `Event` or a typed one: all of them are accepted, or none.

        They enter each mailbox in their order, as room permits; other emitters' events may come in between. Accepting
        them takes a few microseconds an event in which nothing else runs: emit very many in several calls.

        Returns:
            One receipt for each, in the same order, once every mailbox has taken its share.

        Raises:
            As `emit`, for the first event that is refused, with a note of its position; none was accepted.

        Cancellation: while it checks them, nothing is accepted; afterwards all are, as with `emit`.
        """
        checked = await self._check_all(events, None)
        self._check_open()
        receipts, admission = self._accept_all(checked)
        await self._admitted(receipts, admission)
        return receipts

    async def _check_all(self, events: Iterable[Emitted], group: str | None) -> list[Draft]:
        """Check events that are to be accepted, or staged in a group, all of them or none.

        Cancellation: nothing was done.
        """
        if not isinstance(events, Iterable):
            raise InvalidOption("events", events, "must be a list, or another iterable, of Event(…)s or typed events")
        checked: list[Draft] = []
        chosen: dict[str, Event] = {}
        self._check_open()
        routes, cause = self._dispatcher.routes, self._cause()
        for position, draft in enumerate(events):
            if self._turn.is_over(self._stopwatch()):
                await self._breathe()
            try:
                if not isinstance(draft, Event) and declaration_of(type(draft)) is None:
                    raise InvalidOption(
                        "events", draft, f"must hold Event(…)s or typed events, not {type(draft).__name__}"
                    )
                given, has_chosen_id = event_of(draft, None, {}, self._ids, self._wall_time(), self.portable)
                if cause is not None:
                    given = caused(given, cause, self._causation_depth)
                is_new = not has_chosen_id or given.id not in chosen
                if has_chosen_id:
                    check_same(chosen.setdefault(given.id, given), given)
                    is_new = is_new and self._deduplication.find(given, self._kernel.port.now(), group) is None
                if self._outbox is not None:
                    self._outbox.check(given, has_chosen_id, group)
                event = given if group is None else msgspec.structs.replace(given, accepted_at=None)
                if is_new:
                    event = self._intercept(event, group)
                if event.name not in routes.remembered:
                    routes.match(event.name)
            except Exception as error:
                error.add_note(note_of_position(position, "accepted" if group is None else "staged"))
                raise
            checked.append((event, given if has_chosen_id else None))
        return checked

    def _accept_all(self, checked: list[Draft]) -> tuple[list[Receipt], Entrance | None]:
        """Accept events that were checked, all of them or none, and place them in order.

        Without a yield in between, or something else might be accepted in the middle that conflicts with the rest.

        Returns:
            The receipts, and what to wait for room by.
        """
        if self._outbox is not None:
            sent = self._outbox.carrier.submit(checked)
            return list(sent), sent[0].admission if sent else None
        now, since = self._kernel.port.now(), self._stopwatch()
        routes = self._dispatcher.routes
        routed: list[tuple[Event, Targets, Event | None]] = []
        wanted: list[tuple[Event, Targets]] = []
        known: dict[str, Receipt | None] = {}  # by ids that were chosen; None for those that are new
        for event, given in checked:
            targets = routes.remembered.get(event.name)
            if targets is None:
                targets = routes.match(event.name)
            routed.append((event, targets, given))
            if given is not None and event.id in known:
                continue
            if given is not None:  # `find` raises where an event conflicts, before any is accepted
                known[event.id] = self._deduplication.find(given, now)
            if given is None or known[event.id] is None:
                wanted.append((event, targets))
        self._dispatcher.catch_up_first()
        check_room(self._kernel.port, wanted)
        admission = self._kernel.admission()
        receipts: list[Receipt] = []
        for event, targets, given in routed:
            receipt = None if given is None else known[event.id]
            if receipt is None:
                receipt = self._dispatcher.dispatch(
                    event, targets, since, special=is_special(event), admission=admission
                )
                if given is not None:
                    known[event.id] = receipt
                    self._deduplication.remember(given, receipt, now)
            receipts.append(receipt)
        return receipts, admission

    async def _admitted(self, receipts: list[Receipt], admission: Entrance | None) -> None:
        """Wait until every mailbox has taken its share of what was accepted together.

        Cancellation: all of it stays accepted.
        """
        if not isinstance(admission, Admission):
            if admission is not None:
                await admission.wait()
            for receipt in receipts:
                receipt.check_accepted()
        elif admission.waiting:
            full = dict.fromkeys(target for receipt in receipts for target in receipt.targets)
            with waiting(self._kernel.port, lambda: wait_for_room(full, admission)):
                await admission.wait()


def note_of_position(position: int, what: str) -> str:
    """What an error of one event says where several were emitted in one call."""
    return f"in emit_many, event number {position} (from 0); none of them was {what}"
