"""Interceptors: they observe, change and veto, around emits and around attempts, and their errors follow a rule."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs
import msgspec
import pytest

from postroom import (
    Batch,
    ConflictingEvent,
    Context,
    Event,
    Failed,
    HandlerTimeout,
    Interceptor,
    InterceptorFailed,
    InvalidOption,
    InvalidPayload,
    NoSubscriber,
    NotPortable,
    Retry,
    Runtime,
    Succeeded,
    Vetoed,
    constant,
    event_type,
    subscriber,
)

pytestmark = pytest.mark.anyio

Next = Callable[[], Awaitable[Any]]


@subscriber("**", name="echo")
async def echo(event: Event) -> Any:
    return event.data


# --- around emits --------------------------------------------------------------------------------------------------


async def test_each_outgoing_event_is_seen_once_whichever_way_it_is_emitted() -> None:
    seen: list[tuple[str, str | None]] = []

    def look(event: Event, group: str | None) -> None:
        seen.append((event.name, group))

    @subscriber("cause")
    async def cause(event: Event, context: Context) -> None:
        await context.emit("by.context")

    async with Runtime(subscribers=[cause], interceptors=[look]) as runtime:
        await runtime.emit("nobody.listens")
        await runtime.emit_and_wait("cause")
        await runtime.idle()
        runtime.emit_nowait("nowait")
        await runtime.emit_many([Event("many.1"), Event("many.2")])
        async with runtime.group(id="g") as group:
            await group.emit("staged")
        await runtime.emit("dropped", group="h")

    assert seen == [
        ("nobody.listens", None),
        ("cause", None),
        ("by.context", None),
        ("nowait", None),
        ("many.1", None),
        ("many.2", None),
        ("staged", "g"),
        ("dropped", "h"),
    ]


async def test_interceptors_change_an_event_one_after_the_other() -> None:
    def sign(event: Event) -> Event:
        return msgspec.structs.replace(event, headers={**event.headers, "by": "sign"}, priority="high")

    def reroute(event: Event) -> Event | None:
        return msgspec.structs.replace(event, name="b", key=None, data=dict(event.headers))

    async with Runtime(subscribers=[echo], interceptors=[sign, reroute]) as runtime:
        for report in (
            await runtime.emit_and_wait("a", 1, key="k"),
            await (await runtime.emit_many([Event("a", 1, key="k")]))[0],
        ):
            event = report.event
            assert (event.name, event.key, event.priority) == ("b", None, "high")
            assert report.outcomes == (Succeeded("echo", {"by": "sign"}, 1, 0.0),)
            with pytest.raises(TypeError):
                event.headers["by"] = "somebody else"  # type: ignore[index]


async def test_a_veto_comes_out_of_the_emit_and_nothing_is_accepted() -> None:
    def forbid(event: Event) -> None:
        if event.data == "bad":
            raise Vetoed("bad data")

    async with Runtime(subscribers=[echo], interceptors=[Interceptor(forbid, on_error="ignore")]) as runtime:
        with pytest.raises(Vetoed, match="bad data") as caught:
            await runtime.emit("a", "bad")
        with pytest.raises(Vetoed):
            runtime.emit_nowait("a", "bad")
        with pytest.raises(Vetoed):
            await runtime.emit("a", "bad", group="g")
        with pytest.raises(Vetoed) as in_many:
            await runtime.emit_many([Event("a", "good"), Event("a", "bad")])
        stats = runtime.stats

    assert (stats.accepted, stats.staged) == (0, 0)
    assert "forbid" in caught.value.__notes__[0]
    assert any("number 1" in note for note in in_many.value.__notes__)


@pytest.mark.parametrize("rule", ["fail", "ignore"])
async def test_an_error_follows_the_declared_rule(rule: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise KeyError(event.data)

    interceptors = [Interceptor(broken, on_error=rule)]
    async with Runtime(subscribers=[echo], interceptors=interceptors) as runtime:
        if rule == "fail":
            with pytest.raises(InterceptorFailed, match="broken") as caught:
                await runtime.emit("a")
            assert isinstance(caught.value.__cause__, KeyError)
            assert runtime.stats.accepted == 0
        else:
            for number in range(3):
                assert (await runtime.emit_and_wait("a", number)).succeeded

    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (1 if rule == "ignore" else 0)
    assert all("broken failed with KeyError for a" in line for line in told)


@event_type("typed")
@attrs.frozen
class Typed:
    number: int


@pytest.mark.parametrize(
    "change",
    [
        lambda event: "no event",
        lambda event: echo(event),  # a coroutine, by mistake
        lambda event: msgspec.structs.replace(event, id="another"),
        lambda event: msgspec.structs.replace(event, time=0.0),
        lambda event: msgspec.structs.replace(event, accepted_at=None),
        lambda event: msgspec.structs.replace(event, name="not a name"),
        lambda event: msgspec.structs.replace(event, priority="urgent"),
        lambda event: msgspec.structs.replace(event, headers={"a": 1}),
        lambda event: msgspec.structs.replace(event, delay=float("nan")),
        lambda event: msgspec.structs.replace(event, attempts=0),
        lambda event: msgspec.structs.replace(event, name="typed", data=Typed("x")),  # type: ignore[arg-type]
    ],
)
async def test_an_event_that_could_not_have_been_emitted_is_an_interceptors_error(change: Any) -> None:
    async with Runtime(subscribers=[echo], interceptors=[change]) as runtime:
        with pytest.raises(InterceptorFailed):
            await runtime.emit("a")
        assert runtime.stats.accepted == 0
    async with Runtime(subscribers=[echo], interceptors=[Interceptor(change, on_error="ignore")]) as runtime:
        report = await runtime.emit_and_wait("a", "as it was")
        assert (report.event.name, report.event.data, report.event.priority) == ("a", "as it was", "default")


async def test_a_typed_event_that_an_interceptor_puts_in_place_carries_its_version() -> None:
    @event_type("typed", version=2)
    @attrs.frozen
    class Newer:
        number: int

    plain = await run_with([lambda event: msgspec.structs.replace(event, name="typed", data=Newer(1))], "a")
    typed = await run_with([], Newer(1))
    assert plain.headers == typed.headers != {}
    with pytest.raises(InvalidPayload):
        await run_with([], Newer("x"))  # type: ignore[arg-type]


async def run_with(interceptors: list[Any], name: Any) -> Event:
    async with Runtime(subscribers=[echo], interceptors=interceptors) as runtime:
        return (await runtime.emit_and_wait(name)).event


async def test_the_same_id_is_one_event_whatever_interceptors_make_of_it() -> None:
    seen: list[str] = []

    def stamp(event: Event) -> Event:
        seen.append(event.id)
        return msgspec.structs.replace(event, headers={"number": str(len(seen))}, data="changed")

    async with Runtime(subscribers=[echo], interceptors=[stamp]) as runtime:
        first = await runtime.emit("a", 1, id="one")
        assert await runtime.emit("a", 1, id="one") is first
        assert await runtime.emit_many([Event("a", 1, id="one")]) == [first]
        twice = await runtime.emit_many([Event("a", 1, id="two"), Event("a", 1, id="two")])
        assert twice[0] is twice[1]
        staged = await runtime.emit("a", 1, id="three", group="g")
        assert await runtime.emit("a", 1, id="three", group="g") is staged
        await runtime.release_group("g")
        assert (await runtime.emit("a", 1, id="three")).event is staged.event
        with pytest.raises(ConflictingEvent):
            await runtime.emit("a", "changed", id="one")

    assert seen == ["one", "two", "three"]


async def test_what_an_interceptor_changes_is_checked_in_a_portable_runtime() -> None:
    def change(event: Event) -> Event:
        return msgspec.structs.replace(event, data=event.data if event.data == "good" else object())

    async with Runtime(subscribers=[echo], interceptors=[change], portable=True) as runtime:
        assert await runtime.request("a", "good") == "good"
        with pytest.raises(NotPortable):
            await runtime.emit("a", "bad")


async def test_require_asks_for_those_who_subscribe_to_the_changed_name() -> None:
    @subscriber("a")
    async def a(event: Event) -> None: ...

    interceptors = [lambda event: msgspec.structs.replace(event, name="b")]
    async with Runtime(subscribers=[a], interceptors=interceptors) as runtime:
        with pytest.raises(NoSubscriber):
            await runtime.emit("a", require=True)


@pytest.mark.parametrize("given", [5, lambda: None, lambda a, b, c: None, lambda *, key: None, "text"])
def test_what_can_not_be_called_as_an_interceptor_is_refused_when_the_runtime_is_made(given: Any) -> None:
    with pytest.raises(InvalidOption):
        Runtime(interceptors=[given])


def test_an_async_interceptor_takes_the_context_and_what_comes_next() -> None:
    async def one(context: Context) -> None: ...

    with pytest.raises(InvalidOption, match="call_next"):
        Interceptor(one)
    with pytest.raises(InvalidOption, match="fail"):
        Interceptor(print, on_error="retry")  # type: ignore[arg-type]


# --- around attempts -----------------------------------------------------------------------------------------------


async def test_interceptors_stand_around_each_attempt_from_the_outside_in() -> None:
    log: list[object] = []

    def around(name: str) -> Any:
        async def interceptor(context: Context, call_next: Next) -> Any:
            log.append((name, context.attempt, context.subscription))
            try:
                return await call_next()
            finally:
                log.append(name)

        return interceptor

    @subscriber("a", retry=Retry(attempts=2, backoff=constant(1)))
    async def second_time(event: Event, context: Context) -> int:
        log.append("handler")
        if context.attempt == 1:
            raise ValueError
        return 7

    async with Runtime(subscribers=[second_time], interceptors=[around("out"), around("in")]) as runtime:
        report = await runtime.emit_and_wait("a")

    def attempt(number: int) -> list[object]:
        return [("out", number, "second_time"), ("in", number, "second_time"), "handler", "in", "out"]

    assert log == [*attempt(1), *attempt(2)]
    assert report.outcomes == (Succeeded("second_time", 7, 2, 0.0),)


async def test_an_interceptor_changes_the_result() -> None:
    async def double(context: Context, call_next: Next) -> Any:
        return 2 * await call_next()

    async with Runtime(subscribers=[echo], interceptors=[double]) as runtime:
        assert await runtime.request("a", 21) == 42


async def test_an_interceptor_turns_a_failure_into_a_result_and_back() -> None:
    async def catch(context: Context, call_next: Next) -> Any:
        try:
            return await call_next()
        except ValueError:
            return "caught"

    @subscriber("a")
    async def broken(event: Event) -> None:
        raise event.data

    async with Runtime(subscribers=[broken], interceptors=[catch]) as runtime:
        assert await runtime.request("a", ValueError()) == "caught"
        [outcome] = (await runtime.emit_and_wait("a", KeyError())).outcomes
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, KeyError)


async def test_what_the_handler_raises_is_no_error_of_an_interceptor(caplog: pytest.LogCaptureFixture) -> None:
    async def through(context: Context, call_next: Next) -> Any:
        return await call_next()

    @subscriber("a")
    async def broken(event: Event) -> None:
        raise ValueError

    async with Runtime(subscribers=[broken], interceptors=[Interceptor(through, on_error="ignore")]) as runtime:
        [outcome] = (await runtime.emit_and_wait("a")).outcomes
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, ValueError)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_veto_is_a_failure_of_the_attempt_and_the_handler_is_not_called() -> None:
    handled: list[Event] = []

    async def forbid(context: Context, call_next: Next) -> Any:
        raise Vetoed("not today")

    @subscriber("a")
    async def take(event: Event) -> None:
        handled.append(event)

    async with Runtime(subscribers=[take], interceptors=[Interceptor(forbid, on_error="ignore")]) as runtime:
        [outcome] = (await runtime.emit_and_wait("a")).outcomes
        [letter] = await runtime.dead_letters.list()

    assert isinstance(outcome, Failed)
    assert isinstance(letter.exception, Vetoed)
    assert handled == []


async def before(context: Context, call_next: Next) -> Any:
    raise KeyError


async def after(context: Context, call_next: Next) -> Any:
    await call_next()
    raise KeyError


async def never(context: Context, call_next: Next) -> Any:
    return "nothing done"


async def in_place(context: Context, call_next: Next) -> Any:
    try:
        return await call_next()
    except ValueError:
        raise KeyError from None


@pytest.mark.parametrize("interceptor", [before, after, never, in_place])
async def test_an_interceptors_own_error_fails_the_attempt_unless_it_is_to_be_ignored(interceptor: Any) -> None:
    calls: list[object] = []

    @subscriber("a")
    async def handler(event: Event) -> str:
        calls.append(event.data)
        if interceptor is in_place:
            raise ValueError
        return "done"

    async with Runtime(subscribers=[handler], interceptors=[interceptor]) as runtime:
        [failed] = (await runtime.emit_and_wait("a", "fail")).outcomes
    async with Runtime(subscribers=[handler], interceptors=[Interceptor(interceptor, on_error="ignore")]) as runtime:
        [ignored] = (await runtime.emit_and_wait("a", "ignore")).outcomes

    assert isinstance(failed, Failed)
    assert isinstance(failed.exception, InterceptorFailed if interceptor is never else KeyError)
    assert calls.count("ignore") == 1
    match ignored:
        case Succeeded(value="done"):
            assert interceptor is not in_place
        case Failed(exception=ValueError()):
            assert interceptor is in_place
        case _:
            pytest.fail(str(ignored))


async def test_an_interceptor_can_not_repeat_the_attempt() -> None:
    calls: list[Event] = []

    async def again(context: Context, call_next: Next) -> Any:
        await call_next()
        return await call_next()

    @subscriber("a")
    async def count(event: Event) -> None:
        calls.append(event)

    async with Runtime(subscribers=[count], interceptors=[again]) as runtime:
        [outcome] = (await runtime.emit_and_wait("a")).outcomes
    assert isinstance(outcome, Failed)
    assert "twice" in str(outcome.exception)
    assert len(calls) == 1


async def test_an_interceptor_that_cuts_the_handler_short_can_not_claim_that_it_is_done() -> None:
    async def impatient(context: Context, call_next: Next) -> Any:
        with anyio.move_on_after(1):
            return await call_next()
        raise KeyError

    @subscriber("a")
    async def slow(event: Event) -> None:
        await anyio.sleep(5)

    async with Runtime(subscribers=[slow], interceptors=[Interceptor(impatient, on_error="ignore")]) as runtime:
        [outcome] = (await runtime.emit_and_wait("a")).outcomes
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.exception, KeyError)


async def test_the_timeout_of_an_attempt_holds_for_its_interceptors_too() -> None:
    async def slow(context: Context, call_next: Next) -> Any:
        await anyio.sleep(5)
        return await call_next()

    async with Runtime(interceptors=[slow]) as runtime:
        await runtime.spawn(echo, timeout=2)
        start = anyio.current_time()
        [outcome] = (await runtime.emit_and_wait("a")).outcomes
        assert anyio.current_time() - start == pytest.approx(2)
        [by_event] = (await runtime.emit_and_wait("a", timeout=1)).outcomes
        assert anyio.current_time() - start == pytest.approx(3)
    for each in (outcome, by_event):
        assert isinstance(each, Failed)
        assert isinstance(each.exception, HandlerTimeout)


async def test_interceptors_stand_around_plain_functions_and_around_whole_batches() -> None:
    log: list[tuple[str, str]] = []

    async def look(context: Context, call_next: Next) -> Any:
        log.append((context.subscription, context.event.name))
        return await call_next()

    def plain(event: Event) -> str:
        return "from a thread"

    async def several(events: list[Event]) -> int:
        return len(events)

    async with Runtime(interceptors=[look]) as runtime:
        await runtime.spawn(plain, "plain")
        await runtime.spawn(several, "several", batch=Batch(size=2, within=1))
        assert await runtime.request("plain") == "from a thread"
        receipts = await runtime.emit_many([Event("several"), Event("several")])
        assert [(await receipt).of("several") for receipt in receipts] == [Succeeded("several", 2, 1, 0.0)] * 2

    assert log == [("plain", "plain"), ("several", "several")]


async def test_82_a_metrics_hook_that_raises_is_told_of_once_and_never_affects_delivery(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def count(event: Event) -> None:
        raise RuntimeError("no connection")

    async def measure(context: Context, call_next: Next) -> Any:
        result = await call_next()
        raise RuntimeError(result)

    hooks = [Interceptor(hook, on_error="ignore") for hook in (count, measure)]
    async with Runtime(subscribers=[echo], interceptors=hooks) as runtime:
        values = [await runtime.request("a", number) for number in range(5)]
        stats = runtime.stats

    assert values == list(range(5))
    assert (stats.succeeded, stats.failed, stats.retried) == (5, 0, 0)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING]
    assert "no connection" not in caplog.text


async def test_82_a_log_handler_that_raises_does_not_fail_a_handler_that_logs() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ValueError

    @subscriber("a")
    async def talk(event: Event, context: Context) -> str:
        context.log.warning("now")
        return "done"

    logger, broken = logging.getLogger("postroom.handlers"), Broken()
    logger.addHandler(broken)
    try:
        async with Runtime(subscribers=[talk]) as runtime:
            with pytest.warns(RuntimeWarning, match="ValueError"):
                assert await runtime.request("a") == "done"
    finally:
        logger.removeHandler(broken)


async def test_the_log_of_a_handler_names_the_line_that_logged(caplog: pytest.LogCaptureFixture) -> None:
    @subscriber("a")
    async def talk(event: Event, context: Context) -> None:
        context.log.warning("now")

    async with Runtime(subscribers=[talk]) as runtime:
        await runtime.emit_and_wait("a")
    assert [record.funcName for record in caplog.records] == ["talk"]
