"""A bare session on a journal, as the checks of that contract use it."""

from collections.abc import Mapping
from typing import Any, Literal, cast

import anyio
import attrs

from postroom.contract import Answer, Emit, Store
from postroom.journal import Entry, HasJournal, Journal, NewRun, RunLoan, RunState, StoredRun, Taken

from .bare import Bare
from .world import World

KEPT = 600.0
"""Seconds for which the checks have a run remembered, unless they say otherwise."""


@attrs.define(eq=False)
class Clerk:
    """A session, and its journal.

    Attributes:
        bare: For its events and its news.
    """

    store: Store
    bare: Bare = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.bare = Bare(self.store)

    @property
    def journal(self) -> Journal:
        """What the store keeps of workflows."""
        return cast("HasJournal", self.store).journal

    async def begin(self, id: str = "a", *, lend: bool = True, **fields: Any) -> RunLoan | StoredRun | None:
        """Begin a run.

        Cancellation: as the store's.
        """
        return await self.journal.begin(self.bare.next(), new_run(id, **fields), lend=lend)

    async def have(self, id: str = "a", **fields: Any) -> RunLoan:
        """Begin a run that is new, and have it.

        Cancellation: as the store's.
        """
        loan = await self.begin(id, **fields)
        assert isinstance(loan, RunLoan), loan
        return loan

    async def take(self, count: int = 100, workflow: str = "ship") -> list[RunLoan]:
        """What waits of one workflow.

        Cancellation: as the store's.
        """
        return (await self.journal.take({workflow: count})).loans

    async def take_when_due(self, world: World, workflow: str = "ship") -> list[RunLoan]:
        """What waits, as soon as something does.

        Raises:
            TimeoutError: nothing does for as long as the world is patient.

        Cancellation: as the store's.
        """
        with anyio.fail_after(world.patience):
            while not (loans := await self.take(workflow=workflow)):
                await world.wait(0.2)
        return loans

    async def take_all(self, workflows: Mapping[str, int]) -> Taken:
        """As the journal.

        Cancellation: as the store's.
        """
        return await self.journal.take(workflows)

    async def conclude(
        self,
        loan: RunLoan,
        state: RunState = RunState.SUCCEEDED,
        result: bytes = b"done",
        events: Emit = (),
        keep: float = KEPT,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        """Conclude a run.

        Cancellation: as the store's.
        """
        return await self.journal.conclude(loan.token, state, result, events, keep, unless)

    async def see(self, id: str = "a") -> RunLoan:
        """A run that is there, as it is now.

        Cancellation: as the store's.
        """
        seen = await self.journal.run(id)
        assert seen is not None, f"there is no run {id!r}"
        return seen

    async def told_of(self, world: World, seen: int = 0, count: int = 1) -> tuple[list[str], int]:
        """The runs that this session is told of after a number, at least so many, and the number of the news.

        Raises:
            TimeoutError: it is not told.

        Cancellation: as the store's.
        """
        notices, news = await self.bare.hear(world, seen, count)
        return [notice.run for notice in notices], news.number

    async def hears_nothing(self, world: World, seen: int = 0) -> None:
        """Raises AssertionError where it is told of anything for some moments.

        Cancellation: as the store's.
        """
        with anyio.move_on_after(2 * world.moment):
            while True:
                news = await self.store.news(seen)
                assert not news.notices, news.notices
                seen = news.number


def new_run(id: str = "a", workflow: str = "ship", **fields: Any) -> NewRun:
    """A run that is to begin."""
    fields.setdefault("input", b"input")
    fields.setdefault("digest", b"digest")
    return NewRun(id, workflow, **fields)


def step(key: str, body: bytes = b"", kind: str = "step") -> Entry:
    """A line of a journal."""
    return Entry(kind, key, body)


def runs_of(loans: list[RunLoan]) -> list[str]:
    """The ids of runs that are lent."""
    return [loan.run.id for loan in loans]


def keys_of(loan: RunLoan) -> list[str]:
    """The keys of the entries of a run."""
    return [entry.key for entry in loan.entries]
