"""Dead letters in a store."""

from typing import Final

import attrs

from ..codec import RemoteFailure, UnreadableRecord, decode_event
from ..contract import Published, Store, StoredLetter
from ..dead_letters import DeadLetter
from ..event import Event
from ..receipt import Receipt
from .carrier import Carrier
from .errands import Call
from .receipts import StoredReceipt

PAGE: Final = 100
"""Letters that are looked through at a time."""


@attrs.frozen(eq=False)
class StoredLetters:
    """What `DeadLetters` asks where a store keeps them."""

    _carrier: Carrier

    async def list(self, subscription: str | None, after: str | None, limit: int) -> tuple[DeadLetter, ...]:
        """The letters, oldest first.

        Cancellation: changes nothing.
        """
        found = await self._carrier.ask(
            "list its dead letters", lambda: self._store.letters(subscription, after, limit)
        )
        return tuple(letter_from(each) for each in found)

    async def replay(self, id: str, event: Event | None = None) -> Receipt | None:
        """Have it delivered once more; None where that can't be.

        Args:
            event: What it is about, where that is known.

        Cancellation: it was replayed or not.
        """
        if event is None and (event := await self._event_of(id)) is None:
            return None
        known = event
        receipts: list[StoredReceipt] = []

        def take(published: Published | None) -> None:
            # At once: the outcome may be the next that is heard of.
            if published is not None:
                receipts.append(self._carrier.adopt_replay(known, published))

        call: Call[Published | None] = Call(
            self._carrier.port,
            make=lambda number: self._store.replay(number, id),
            what="replay a dead letter",
            then=take,
        )
        self._carrier.publisher.send(call)
        await call.wait()
        if call.error is not None:
            raise call.error
        return receipts[0] if receipts else None

    async def _event_of(self, id: str) -> Event | None:
        """The event of a letter, which a store finds among the others only."""
        after: str | None = None
        while page := await self.list(None, after, PAGE):
            for letter in page:
                if letter.id == id:
                    return letter.event
            after = page[-1].id
        return None

    async def discard(self, id: str) -> bool:
        """Forget it; whether it was there.

        Cancellation: it was forgotten or not.
        """
        return bool(await self._carrier.ask("forget a dead letter", lambda: self._store.discard([id])))

    @property
    def _store(self) -> Store:
        return self._carrier.store


def letter_from(stored: StoredLetter) -> DeadLetter:
    """A letter as users see it. What was raised comes back as texts, also in the process that raised it."""
    letter = stored.letter
    raw: bytes | None = None
    try:
        event = decode_event(stored.body, stored.event, stored.accepted_at)
    except UnreadableRecord:
        event, raw = Event("unreadable", id=stored.event, accepted_at=stored.accepted_at), stored.body
    error = None if letter.error is None else RemoteFailure(letter.error, letter.message, letter.traceback)
    return DeadLetter(
        id=stored.id,
        event=event,
        subscription=stored.subscription,
        reason=letter.reason,
        exception=error,
        traceback=letter.traceback,
        attempts=letter.attempts,
        time=stored.time,
        raw=raw,
    )
