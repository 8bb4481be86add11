"""The journal of a session: each call is one script, and its answer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, cast

import attrs

from postroom.contract import Answer, Emit
from postroom.journal import Entry, NewRun, RunLoan, RunState, StoredRun, Taken

from . import scripts, wire
from .caller import Caller
from .link import Link
from .publishing import Publishing, refusal_of

ALL: Final = tuple(RunState)


@attrs.frozen(eq=False)
class RedisJournal:
    """What a session keeps of workflows; see `Journal` in the contract for what each call means."""

    _caller: Caller
    _link: Link
    _publishing: Publishing

    async def _call(self, script: scripts.Script, *arguments: Any) -> Any:
        return wire.answer(await self._caller.call(self._link, script, *arguments))

    async def begin(self, number: int, new: NewRun, *, lend: bool) -> RunLoan | StoredRun | None:
        own = (new.id, new.workflow, wire.raw(new.input), wire.raw(new.digest), new.lane, wire.micro(new.delay))
        found = await self._call(scripts.RUN_BEGIN, number, *own, lend, new.series, new.most)
        if found is None:
            return None
        is_loan, fields = found
        return _loan(fields) if is_loan else _stored(fields)

    async def take(self, workflows: Mapping[str, int]) -> Taken:
        next_due, loans = await self._call(scripts.RUN_TAKE, list(workflows), list(workflows.values()))
        return Taken([_loan(fields) for fields in loans], next_due)

    async def record(self, token: int, entries: Sequence[Entry], state: RunState | None = None) -> bool:
        return cast("bool", await self._call(scripts.RUN_RECORD, token, _written(entries), state or False))

    async def conclude(
        self,
        token: int,
        state: RunState,
        result: bytes,
        events: Emit,
        keep: float,
        unless: tuple[str, str] | None = None,
    ) -> "Answer | Literal[False] | None":
        own = (token, state, wire.raw(result), wire.micro(keep), unless or False)
        answer = wire.answer(await self._publishing.accept(scripts.RUN_CONCLUDE, own, events))
        if answer is None or answer is False:
            return answer
        return refusal_of(answer) or [wire.published(fields) for fields in answer[1]]

    async def hand_back(self, token: int, wait: float = 0.0, known: int | None = None) -> bool:
        least = -1 if known is None else known
        return cast("bool", await self._call(scripts.RUN_BACK, token, wire.micro(wait), least))

    async def reclaim(self, holding: Collection[int]) -> None:
        await self._call(scripts.RUN_RECLAIM, list(holding))

    async def signal(self, run: str, entry: Entry) -> bool:
        return cast("bool", await self._call(scripts.RUN_SIGNAL, run, *_written([entry])))

    async def wake(self, run: str) -> bool:
        return cast("bool", await self._call(scripts.RUN_WAKE, run))

    async def reopen(self, run: str, entry: Entry) -> bool:
        return cast("bool", await self._call(scripts.RUN_REOPEN, run, *_written([entry])))

    async def run(self, id: str, *, watch: bool = False) -> RunLoan | None:
        fields = await self._call(scripts.RUN_SEE, id, watch)
        return None if fields is None else _loan(fields)

    async def runs(
        self, workflow: str | None, states: Collection[RunState] | None, after: str | None, limit: int
    ) -> list[StoredRun]:
        wanted = ALL if states is None else tuple(set(states))
        found = await self._call(scripts.RUN_LIST, workflow or False, wanted, after or "", limit)
        return sorted(map(_stored, found), key=lambda run: run.id)[:limit]

    async def forget(self, runs: Collection[str]) -> int:
        return cast("int", await self._call(scripts.RUN_FORGET, list(runs)))


def _written(entries: Sequence[Entry]) -> list[tuple[Any, ...]]:
    return [(each.kind, each.key, wire.raw(each.body)) for each in entries]


def _stored(fields: Sequence[Any]) -> StoredRun:
    id, workflow, state, input, digest, result, owner, losses, created, changed, starts, entries, lane = fields
    return StoredRun(
        id, workflow, RunState(state), input, digest, result, owner, losses, created, changed, starts, entries, lane
    )


def _loan(fields: Sequence[Any]) -> RunLoan:
    token, run, entries, now = fields
    written = tuple(Entry(kind, key, body) for _, kind, key, body in sorted(entries))
    return RunLoan(token, _stored(run), written, now)
