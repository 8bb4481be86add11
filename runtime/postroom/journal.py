"""The contract of a journal: what a store keeps of workflows, so that another process can go on with them.

A run is one execution of a workflow. Its journal is a list of entries, each of which says that something is done: a
step with its result, a compensation, a signal from outside. A run waits, is lent to one session, or is over. What is
lent belongs to the session until it is concluded, handed back, or the session's lease runs out; then it waits again,
with one more loss, and is lent with another token to whoever takes it up. Only its token can write to a run, so that
one who was taken for dead changes nothing any more.

The last word on a run and the events that it lets out are one transaction: `conclude` does both or neither.

A store that has the capability `WORKFLOWS` offers its journal beside its other calls, as its attribute `journal`.

Every call either happened as a whole or not at all. A call that raises `UnknownResult` may have happened, and may be
made again. `begin` is numbered by its session, with numbers of its own: the same number again is the same call, with
the same loan. A loan is concluded once: `conclude` with the same token again has the same answer. The others are
harmless when repeated.

Units: seconds on the store's own clock; times that people see in seconds since the epoch; bodies in bytes.

Source: the write-ahead journal of sagas (Garcia-Molina and Salem, 1987); durable execution as in Temporal and DBOS.
"""

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

from .contract import Answer, Emit


class RunState(enum.StrEnum):
    """How far a run is."""

    RUNNING = "running"
    """Its steps run, or it waits to be taken up."""
    COMPENSATING = "compensating"
    """It has failed or was cancelled; what its steps did is being undone."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """A step failed, and everything that was done is undone."""
    CANCELLED = "cancelled"
    """It was cancelled, and everything that was done is undone."""
    NEEDS_ATTENTION = "needs_attention"
    """A compensation has failed for good: a person has to look at it. It can be resumed."""
    PARKED = "parked"
    """Its journal no longer fits the code: nothing runs until a person resumes or removes it."""


OVER: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
"""States in which nothing more will happen."""

ASLEEP: Final = OVER | {RunState.NEEDS_ATTENTION, RunState.PARKED}
"""States in which nobody takes a run up."""


class NewRun(msgspec.Struct, frozen=True):
    """A run that is to begin.

    Attributes:
        id: Unique, whoever chose it.
        workflow: Name of the workflow: only a session that knows it takes the run up.
        input: Encoded.
        digest: Stands for what its user gave: two runs of one id are the same if their digests are equal.
        lane: Where it is not empty, the run begins only if no other run of this lane is unfinished.
        delay: Seconds until it may be taken up.
        series: Where it is not empty, the run begins only if fewer than `most` runs of this series have begun so far.
            How many have is remembered for good.
    """

    id: str
    workflow: str
    input: bytes
    digest: bytes
    lane: str = ""
    delay: float = 0.0
    series: str = ""
    most: int = 0


class Entry(msgspec.Struct, frozen=True):
    """One line of a journal.

    Attributes:
        key: What it is about: the path of a step by names and positions, such as `reserve#0`; the name of a signal.
            Of one kind and key there is one entry in a run: a second one changes nothing.
        kind: The workflow engine's word for it, such as `step`, `compensated` or `signal`.
        body: Encoded by the engine.
    """

    kind: str
    key: str
    body: bytes = b""


class StoredRun(msgspec.Struct, frozen=True):
    """A run as it stands in a store.

    Attributes:
        result: Encoded by the engine: of a run that is over, its value or its error; of one that is asleep, what it
            stopped for; else empty.
        owner: The session that has it, None while it waits.
        losses: How often it was lost with its session, since it began or was woken.
        created_at, changed_at: In seconds since the epoch; `changed_at` is when its journal or its state was last
            written to.
        starts_at: When the delay that it began with is over, in seconds since the epoch; it may be taken up earlier
            where it was written to from outside.
        entries: How many its journal has.
    """

    id: str
    workflow: str
    state: RunState
    input: bytes
    digest: bytes
    result: bytes
    owner: str | None
    losses: int
    created_at: float
    changed_at: float
    starts_at: float
    entries: int
    lane: str = ""


class RunLoan(msgspec.Struct, frozen=True):
    """A run that is lent to a session.

    Attributes:
        token: Names this loan; whoever writes to the run shows it. Another loan of the same run has another one.
        run: As it is now.
        entries: Its journal so far, in the order in which it was written.
        now: What time it is at the store, in seconds since the epoch: for whoever compares with the run's own times.
    """

    token: int
    run: StoredRun
    entries: tuple[Entry, ...] = ()
    now: float = 0.0


class Taken(msgspec.Struct, frozen=True):
    """What a take has brought.

    Attributes:
        loans: Those that have waited longest first, for each workflow.
        next_due: Seconds until another run of these workflows may be taken up: 0 where that is now; None where none
            waits.
    """

    loans: list[RunLoan]
    next_due: float | None = None


class Journal(Protocol):
    """What a store that has the capability `WORKFLOWS` offers beside its other calls; raises what those raise."""

    async def begin(self, number: int, new: NewRun, *, lend: bool) -> RunLoan | StoredRun | None:
        """Begin a run, and with `lend` have it at once; or find the one that is there already.

        Returns:
            The loan; or the run that was begun and not lent, that has this id already (whatever its digest), or that
            is not over in its lane; None where there is neither, and its series is at its end. The session watches the
            run from now on: it is told when another one has concluded it, and when it is forgotten before it is over.
        """
        ...

    async def take(self, workflows: Mapping[str, int]) -> Taken:
        """Lend runs of these workflows that wait, up to a number for each; returns at once.

        What belonged to sessions whose lease has run out waits by then.
        """
        ...

    async def record(self, token: int, entries: Sequence[Entry], state: RunState | None = None) -> bool:
        """Write to a run's journal, and change its state (`RUNNING` or `COMPENSATING`); false where the token is worth
        nothing any more, and then nothing was written."""
        ...

    async def conclude(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        """End a run, or lay it asleep, and accept its events: both in one transaction, or neither.

        Args:
            state: One of `ASLEEP`.
            keep: Seconds for which a run that is over is remembered, and at least for as long as a lease.
            unless: The kind and the key of an entry that nobody may have written to its journal meanwhile.

        Returns:
            The answer to its events, in order. Where that says why none was accepted, the run goes on as it was; where
            the entry of `unless` is in its journal, too, and that is false. None where the token is worth nothing any
            more.
        """
        ...

    async def hand_back(self, token: int, wait: float = 0.0, known: int | None = None) -> bool:
        """Let others take a run up after `wait` seconds, at no loss; false where the token is worth nothing.

        Args:
            known: How many entries of its journal the caller knows: where there are more, others may at once.
        """
        ...

    async def reclaim(self, holding: Collection[int]) -> None:
        """Let others take up what this session has, at no loss, but for the loans of these tokens: a take may have got
        lost."""
        ...

    async def signal(self, run: str, entry: Entry) -> bool:
        """Write to the journal of a run that is not over. Who has it is told; where it waits, its wait is over. Where
        that key was written before, nothing changes.

        Returns:
            Whether the entry stands in its journal now; false where there is no such run, or it is over.
        """
        ...

    async def wake(self, run: str) -> bool:
        """Let a run that needs attention or is parked be taken up again, in the state that it had before, its losses
        forgotten; false where it is not such a run."""
        ...

    async def reopen(self, run: str, entry: Entry) -> bool:
        """Let a run that has succeeded be taken up again, as `COMPENSATING`, with this entry in its journal: it is to
        be undone after all. It is no more forgotten in its time, belongs to no lane, and is watched by nobody; false
        where it is not such a run."""
        ...

    async def run(self, id: str, *, watch: bool = False) -> RunLoan | None:
        """A run with its journal, and token 0; None where there is none. With `watch`, the session watches it, as one
        does that began it."""
        ...

    async def runs(
        self, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
    ) -> list[StoredRun]:
        """Runs by id: of one workflow or of all, in some states or in any, those after the one with this id."""
        ...

    async def forget(self, runs: Collection[str]) -> int:
        """Forget runs that are asleep, with their journals; returns how many there were."""
        ...


class HasJournal(Protocol):
    """A store that has the capability `WORKFLOWS`."""

    @property
    def journal(self) -> Journal: ...
