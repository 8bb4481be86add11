"""Settling: what became of loans, on its way back into the store, as much as waits in one commit.

An outcome counts once the store has it. A store that is busy or full is asked again for as long as it takes; meanwhile
nothing more is fetched. What a store refuses was lent to another process: its outcome is not told to anybody.

What was asked for once is asked for again as it was, under its number, until the store has answered: also where the
session was taken for dead meanwhile, and at the end of the runtime. So the answer always says what became of it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from postroom_actors import Port, Sleeper

from ..codec import encode_outcome, message_of, type_of
from ..contract import Letter, Settlement, Step, Store
from ..dead_letters import text_of
from ..event import HEAD_STARTS
from ..loans import Grave, LoanReceipt
from ..outcomes import Failed, Outcome
from .persistence import Persistence

MOST_TOGETHER: Final = 1000
"""Settlements in one commit."""


@attrs.define(eq=False)
class _Item:
    """A settlement on its way."""

    settlement: Settlement
    event: str
    outcome: Outcome | None


@attrs.define(eq=False)
class Settler:
    """The task that settles, and the desk at which loans are handed in.

    Attributes:
        confirmed: Told of each outcome that the store has taken, with the id of its event.
        refused: Told of each one that it has not.
        over: Told of each loan that is held no more, by its subscription and token.
        paused: Told of each loan that waits for its next attempt, and when that begins.
        caught_up: Told when it is behind no more.
        at_rest: Told when all that was handed in is written.
        unwritten: How many settlements the store has not taken yet.
        is_behind: The store had to be asked again: nothing more should be fetched.
    """

    _store: Store
    _port: Port
    _persistence: Persistence
    confirmed: Callable[[str, Outcome], None]
    refused: Callable[[str], None]
    over: Callable[[str, int], None]
    paused: Callable[[str, int, float], None]
    caught_up: Callable[[], None]
    at_rest: Callable[[], None]
    queue: "deque[_Item]" = attrs.field(factory=deque, init=False)
    unwritten: int = attrs.field(default=0, init=False)
    is_behind: bool = attrs.field(default=False, init=False)
    _sent: "list[_Item]" = attrs.field(factory=list, init=False)  # under the last number, and not answered yet
    _number: int = attrs.field(default=0, init=False)
    _sleeper: Sleeper = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sleeper = self._port.sleeper()

    def settled(self, loan: LoanReceipt, outcome: Outcome) -> None:
        """A loan is over."""
        letter = None if loan.grave is None else letter_of(loan, loan.grave)
        attempts = outcome.attempts if isinstance(outcome, Failed) else max(0, outcome.attempts - 1)
        step = Settlement(loan.token, Step.SETTLED, encode_outcome(outcome), letter, attempts)
        self._add(step, loan.event.id, outcome)
        self.over(loan.subscription, loan.token)

    def returned(self, loan: LoanReceipt, attempts: int) -> None:
        """A loan was not handled."""
        self.give_back(loan.subscription, loan.token, attempts, max(0.0, loan.due - self._port.now()))

    def give_back(self, subscription: str, token: int, attempts: int, wait: float = 0.0) -> None:
        """A loan was not handled, maybe not even read."""
        self._add(Settlement(token, Step.RETURNED, attempts=attempts, wait=wait))
        self.over(subscription, token)

    def retrying(self, loan: LoanReceipt, attempts: int, wait: float) -> None:
        """A loan is kept until its next attempt."""
        loan.due = self._port.now() + wait
        self._add(Settlement(loan.token, Step.RETRYING, attempts=attempts, wait=wait))
        self.paused(loan.subscription, loan.token, loan.due)

    def _add(self, settlement: Settlement, event: str = "", outcome: Outcome | None = None) -> None:
        self.queue.append(_Item(settlement, event, outcome))
        self.unwritten += 1
        self._sleeper.wake()

    @property
    def tokens(self) -> list[int]:
        """Of loans that were handed in, and are the session's as long as the store does not know.

        What is to be tried again was not: it is held for that, or was lost and nobody will.
        """
        on_their_way = (item.settlement for item in (*self._sent, *self.queue))
        return [each.token for each in on_their_way if each.step is not Step.RETRYING]

    def forget(self) -> None:
        """The session was taken for dead: no token is worth anything. What the store was asked to take may be in it."""
        self.unwritten -= len(self.queue)
        self.queue.clear()

    async def run(self) -> None:
        """Settle what is handed in, for ever.

        Cancellation: what is on its way was settled or not, which `write` finds out; the rest stays in `queue`.
        """
        while True:
            while not (self._sent or self.queue):
                await self._sleeper.park()
            await self.write()

    async def write(self) -> None:
        """Settle what is on its way; where nothing is, what was handed in by now.

        Cancellation: as `run`.
        """
        if not self._sent:
            self._number += 1
            self._sent = [self.queue.popleft() for _ in range(min(len(self.queue), MOST_TOGETHER))]
        number, batch = self._number, self._sent
        steps = [item.settlement for item in batch]
        taken = await self._persistence.until_done("take outcomes", lambda: self._settle(number, steps))
        self._sent = []
        self.unwritten -= len(batch)
        if self.is_behind:
            self.is_behind = False
            self.caught_up()
        for item, was_taken in zip(batch, taken, strict=True):
            if item.outcome is None:
                continue
            if was_taken:
                self.confirmed(item.event, item.outcome)
            else:
                self.refused(item.outcome.subscription)
        if not self.unwritten:
            self.at_rest()

    async def _settle(self, number: int, steps: Sequence[Settlement]) -> list[bool]:
        try:
            return await self._store.settle(number, steps)
        except BaseException:  # a cancellation, too
            self.is_behind = True
            raise


def letter_of(loan: LoanReceipt, grave: Grave) -> Letter:
    """What a store keeps of a delivery that was given up on."""
    error, event = grave.error, loan.event
    kind, message, trace = ("", "", "") if error is None else (type_of(error), message_of(error), text_of(error))
    return Letter(grave.reason, kind or None, message, trace, grave.attempts, event.key, HEAD_STARTS[event.priority])
