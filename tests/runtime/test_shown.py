"""How things are shown: in one short line with names, states and counts, and never with an event's data."""

import logging

import anyio
import anyio.to_thread
import pytest

from postroom import Context, Event, Runtime, subscriber
from postroom.dead_letters import LONGEST_MESSAGE, reason_of

pytestmark = pytest.mark.anyio

SECRET = "do not show"


async def test_receipts_and_subscriptions_and_runtimes_tell_names_states_and_counts() -> None:
    gate = anyio.Event()

    @subscriber("n")
    async def handle(event: Event, context: Context) -> None:
        await gate.wait()
        shown.append(repr(context))

    shown: list[str] = []
    runtime = Runtime(subscribers=[handle])
    assert repr(runtime) == "<Runtime: not entered yet; 0 subscription(s), 0 event(s) accepted, 0 pending>"
    async with runtime:
        receipt = await runtime.emit("n", SECRET, id="1")
        handled = runtime.subscriptions["handle"]
        assert repr(receipt) == "<Receipt of n '1': 0 of 1 settled>"
        assert repr(handled) == "<Subscription handle: at work; 1 pending, 0 succeeded, 0 failed>"
        assert repr(runtime) == "<Runtime: open; 1 subscription(s), 1 event(s) accepted, 1 pending>"
        await handled.pause()
        assert repr(handled).startswith("<Subscription handle: paused;")
        await handled.resume()
        gate.set()
        await receipt
        assert repr(receipt) == "<Receipt of n '1': 1 of 1 settled>"
        threaded = await anyio.to_thread.run_sync(lambda: runtime.emit_from_thread("n", SECRET, id="2"))
        assert repr(threaded).startswith("<ThreadReceipt with <Receipt of n '2': ")
        await handled.stop()
        assert repr(handled) == "<Subscription handle: unsubscribed; 0 pending, 2 succeeded, 0 failed>"
    assert repr(runtime) == "<Runtime: closed; 0 subscription(s), 2 event(s) accepted, 0 pending>"
    assert shown == [f"<Context of handle: attempt 1 at n '{number}'>" for number in (1, 2)]


async def test_groups_and_their_receipts_tell_their_state() -> None:
    async with Runtime() as runtime:
        group = runtime.group(id="g")
        assert repr(group) == "<Group 'g': not entered yet>"
        async with group:
            receipt = await group.emit("n", SECRET, id="1")
            assert repr(group) == "<Group 'g': open>"
            assert repr(receipt) == "<StagedReceipt of n '1': staged in group 'g'>"
        assert repr(group) == "<Group 'g': ended>"
        assert repr(receipt) == "<StagedReceipt of n '1': 0 of 0 settled>"
        dropped = await runtime.emit("n", SECRET, id="2", group="h")
        await runtime.clear_group("h")
        assert repr(dropped) == "<StagedReceipt of n '2': dropped in group 'h'>"


async def test_a_dead_letter_tells_what_the_error_says_and_the_log_does_not(caplog: pytest.LogCaptureFixture) -> None:
    @subscriber("n")
    async def fails(event: Event) -> None:
        raise ConnectionError(f"{SECRET}\r\n\x1b[31m")

    with caplog.at_level(logging.DEBUG):
        async with Runtime(subscribers=[fails]) as runtime, runtime.watch() as changes:
            await runtime.emit_and_wait("n")
            (letter,) = await runtime.dead_letters.list()
        told = [change.reason async for change in changes]
    assert letter.reason == f"ConnectionError in attempt 1: {SECRET}\\r\\n\\x1b[31m"
    assert SECRET not in caplog.text
    assert not any(SECRET in reason for reason in told)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise LookupError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError(), "KeyError in attempt 2"),
        (ValueError("é"), "ValueError in attempt 2: é"),
        (ValueError("x" * LONGEST_MESSAGE), f"ValueError in attempt 2: {'x' * LONGEST_MESSAGE}"),
        (ValueError("x" * (LONGEST_MESSAGE + 1)), f"ValueError in attempt 2: {'x' * (LONGEST_MESSAGE - 1)}…"),
        (ValueError("\n" * 400), f"ValueError in attempt 2: {(chr(92) + 'n') * 249}{chr(92)}…"),
        (Unprintable(), "Unprintable in attempt 2: (its message can't be shown: LookupError)"),
    ],
    ids=["nothing", "text", "longest", "too long", "escaped", "unprintable"],
)
def test_the_reason_is_one_bounded_line(error: Exception, reason: str) -> None:
    assert reason_of(error, 2) == reason
