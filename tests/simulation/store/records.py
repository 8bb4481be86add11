"""What the model keeps of each delivery, and of each run of a handler.

Units: seconds of virtual time.
"""

import attrs

from postroom import Outcome
from postroom.contract import StoredEvent


@attrs.frozen
class Loan:
    """What a handler has in hand: the token of its loan, and which attempt it is."""

    token: int
    attempt: int


@attrs.define(eq=False)
class Run:
    """One run of a handler.

    Attributes:
        token: Of the loan under which it runs.
        ended: How: `returned`, `edge` or `late` about its timeout, `raised`, `cancelled` or `killed`.
    """

    session: str
    token: int
    began: float
    ended: str | None = None


@attrs.define(eq=False)
class Held:
    """One delivery in the store.

    Attributes:
        due: When it may be lent for the first time.
        session, token: Of the loan that it is in.
        last: The session that had it last.
        attempts: Failed ones that the store knows of.
        lent_with: Those that it knew of when it lent this loan.
        losses: Loans that ended with the lease of their session.
        returns: Loans that ended otherwise without an outcome.
        outcome: Once it is over.
        first_outcome: That of the delivery before, where this is the replay of a dead letter; else its own.
    """

    event: StoredEvent
    subscription: str
    due: float
    session: str | None = None
    token: int | None = None
    last: str | None = None
    attempts: int = 0
    lent_with: int = 0
    losses: int = 0
    returns: int = 0
    outcome: Outcome | None = None
    earlier: Outcome | None = None
    runs: list[Run] = attrs.field(factory=list)

    def __str__(self) -> str:
        key = "" if self.event.key is None else f" key {self.event.key}"
        return f"{self.event.id}{key} for {self.subscription}"

    @property
    def first_outcome(self) -> Outcome | None:
        return self.earlier or self.outcome

    @property
    def in_loan(self) -> list[Run]:
        """The runs of the loan that it is in."""
        return [run for run in self.runs if run.token == self.token]

    def let_go(self) -> None:
        self.session = self.token = None
