"""The journal on a server's bad days: nothing was done, or it is done when it is asked for again."""

from functools import partial

import pytest

from postroom.journal import Entry, Journal, NewRun, RunLoan, RunState
from postroom.store_errors import StoreFull
from tests.servers.redis import RedisServer

from .making import bind, error_of, event, fetch, module, publish, until_done

pytestmark = pytest.mark.slow


async def have(journal: Journal, id: str, number: int) -> RunLoan:
    loan = await journal.begin(number, NewRun(id, "ship", b"", b""), lend=True)
    assert isinstance(loan, RunLoan)
    return loan


async def test_a_server_that_is_full_has_done_nothing(server: RedisServer) -> None:
    """What makes room in the end is done all the same."""
    async with module(server.url).open("one") as store:
        await bind(store)
        journal: Journal = store.journal  # type: ignore[attr-defined]
        loan, back, asleep = [await have(journal, id, number) for number, id in enumerate("abc", 1)]
        await journal.conclude(asleep.token, RunState.PARKED, b"", [], 60)
        await journal.begin(4, NewRun("waits", "mail", b"", b""), lend=False)
        end = partial(journal.conclude, loan.token, RunState.SUCCEEDED, b"done", [event("e")], 60)
        server.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            for call in (
                partial(have, journal, "d", 5),
                partial(journal.record, loan.token, [Entry("step", "x")], RunState.COMPENSATING),
                partial(journal.signal, "a", Entry("signal", "y")),
                partial(journal.wake, "c"),
                partial(journal.take, {"mail": 1}),
                end,
            ):
                assert isinstance(await error_of(call), StoreFull)
            assert await journal.hand_back(back.token)
            assert await journal.forget(["c"]) == 1
            await journal.reclaim([loan.token])
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)
        seen = await journal.run("a")
        assert seen is not None
        assert (seen.run, seen.entries) == (loan.run, ())
        assert [run.id for run in await journal.runs(None, None, None, 9)] == ["a", "b", "waits"]
        assert await fetch(store) == []
        assert isinstance(await until_done(end), list)
        assert [loan.id for loan in await fetch(store)] == ["e"]
        assert [loan.run.id for loan in (await journal.take({"mail": 1})).loans] == ["waits"]


async def test_the_events_of_a_run_go_to_who_is_registered_when_it_ends(server: RedisServer) -> None:
    """The routes that this process knows are out of date by then."""
    async with module(server.url).open("one") as store, module(server.url).open("two") as other:
        await bind(store)
        await publish(store, 1, "before")
        await bind(other, "late")
        journal: Journal = store.journal  # type: ignore[attr-defined]
        answer = await journal.conclude((await have(journal, "a", 1)).token, RunState.FAILED, b"", [event("e")], 60)
        assert isinstance(answer, list)
        assert answer[0].targets == ("ledger", "late")
        assert [loan.id for loan in await fetch(other, name="late")] == ["e"]
