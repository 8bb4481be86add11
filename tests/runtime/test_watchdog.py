"""Handlers that block the loop are told of (reliability scenario 11). The blocking is real, and short."""

import importlib
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import anyio
import anyio.to_thread
import pytest

from postroom import Batch, Event, Runtime
from postroom import watchdog as module
from postroom.watchdog import LOOKS, open_watchdog

LIMIT = 0.02
PATIENCE = 5.0
"""How long a test that fails blocks, seconds."""

TRIES = 5
"""On a busy machine the loop may really stand still for as long as the limit: not every time."""

NAME = "postroom watchdog"


class Ear(logging.Handler):
    """Hears the warnings, and lets whoever blocks the loop go on once there is one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []
        self.told = threading.Semaphore(0)
        self.heard_something = threading.Event()
        self.broken = False

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())
        self.told.release()
        self.heard_something.set()
        if self.broken:
            raise ConnectionError("nobody listens")

    def block(self) -> None:
        """Block the calling thread until one more warning is heard."""
        assert self.told.acquire(timeout=PATIENCE)


class Looks:
    """Counts the looks of the watchdog, which reads a mark at each."""

    def __init__(self, mark: Callable[[int], object] = lambda count: None) -> None:
        self.count = 0
        self.mark = mark
        self.taken = threading.Semaphore(0)

    def __call__(self) -> object:
        self.count += 1
        self.taken.release()
        return self.mark(self.count)

    def block(self, count: int = 4 * LOOKS) -> None:
        """Block the calling thread until there were that many more looks."""
        while self.taken.acquire(blocking=False):
            pass
        for _ in range(count):
            assert self.taken.acquire(timeout=PATIENCE)


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    logger = logging.getLogger("postroom")
    logger.addHandler(ear)
    yield ear
    logger.removeHandler(ear)


def watched(runtime: Runtime, looks: Callable[[], object] = lambda: None) -> AbstractContextManager[None]:
    """A watchdog over the handlers of `runtime`."""
    return open_watchdog(LIMIT, lambda: any(each.stats.in_hand for each in runtime.subscriptions.values()), looks)


def line_in(function: Callable[..., object], offset: int) -> str:
    """How the place of a line of `function` is told."""
    code = function.__code__
    return f"{__file__}:{code.co_firstlineno + offset} in {code.co_name}"


async def test_11_a_handler_that_blocks_the_loop_is_named_with_its_line(ear: Ear) -> None:
    async def careless(event: Event) -> None:
        ear.block()

    async with Runtime() as runtime:
        await runtime.spawn(careless, "a", name="shop.careless")
        with watched(runtime):
            assert (await runtime.emit_and_wait("a")).succeeded
    assert re.match(
        r"the handler of shop\.careless has blocked the event loop for at least 0\.\d+ s, at ", ear.heard[0]
    )
    assert line_in(Ear.block, 2) in ear.heard[0]


async def test_a_line_of_the_standard_library_is_told_as_that_of_its_caller(ear: Ear) -> None:
    async def careless(event: Event) -> None:
        ear.heard_something.wait(PATIENCE)  # a function of the standard library, with a frame of its own

    async with Runtime() as runtime:
        await runtime.spawn(careless, "a")
        with watched(runtime):
            await runtime.emit_and_wait("a")
    assert line_in(careless, 1) in ear.heard[0]


async def test_a_blocked_batch_handler_is_named_as_well(ear: Ear) -> None:
    async def careless(events: list[Event]) -> None:
        ear.block()

    async with Runtime() as runtime:
        await runtime.spawn(careless, "a", batch=Batch(size=2, within=0))
        with watched(runtime):
            await runtime.emit_and_wait("a")
    assert ear.heard[0].startswith("the handler of careless has blocked")


async def test_a_blocking_is_told_once_and_its_end_once(ear: Ear) -> None:
    looks = Looks()

    async def careless(event: Event) -> None:
        ear.block()
        looks.block()

    async with Runtime() as runtime:
        await runtime.spawn(careless, "a")
        with watched(runtime, looks):
            await runtime.emit_and_wait("a")
    first, last = ear.heard
    assert "has blocked" in first
    assert last.startswith("the event loop lives again: the handler of careless had blocked it for at least ")
    at_first, in_all = (float(re.findall(r"at least (\S+) s", each)[0]) for each in ear.heard)
    assert LIMIT <= at_first < in_all


async def test_each_blocking_is_told_of(ear: Ear) -> None:
    async def careless(event: Event) -> None:
        ear.block()
        await anyio.to_thread.run_sync(ear.block)  # the loop lives, and that is told
        ear.heard.append("in between")
        ear.block()

    async with Runtime() as runtime:
        await runtime.spawn(careless, "a")
        with watched(runtime):
            await runtime.emit_and_wait("a")
    kinds = ["has blocked" in each or ("lives again" not in each and each) for each in ear.heard]
    assert kinds == [True, False, "in between", True, False]


async def test_a_handler_that_awaits_is_not_told_of(ear: Ear) -> None:
    looks = Looks()

    async def patient(event: Event) -> None:
        await anyio.to_thread.run_sync(looks.block)

    async with Runtime() as runtime:
        await runtime.spawn(patient, "a")
        for _ in range(TRIES):
            ear.heard.clear()
            with watched(runtime, looks):
                assert (await runtime.emit_and_wait("a")).succeeded
            if not ear.heard:
                break
    assert ear.heard == []


async def test_nothing_is_asked_and_nothing_told_while_nothing_is_in_hand(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "current_port", lambda: SimpleNamespace(submit=asked.append))
    looks = Looks()
    with open_watchdog(LIMIT, lambda: False, looks):
        await anyio.to_thread.run_sync(looks.block)
        looks.block()
    assert (asked, ear.heard) == ([], [])


async def test_one_question_is_open_at_a_time(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "current_port", lambda: SimpleNamespace(submit=asked.append))
    looks = Looks()
    with open_watchdog(LIMIT, lambda: True, looks):
        looks.block()
    assert len(asked) == 1


async def test_a_loop_that_was_given_away_meanwhile_is_not_blocked(ear: Ear) -> None:
    looks = Looks(mark=lambda count: count)
    with open_watchdog(LIMIT, lambda: True, looks):
        looks.block()
    assert ear.heard == []


async def test_what_is_no_handler_is_told_of_as_such(ear: Ear) -> None:
    with open_watchdog(LIMIT, lambda: True, lambda: None):
        ear.block()
    assert ear.heard[0].startswith("something that no handler's own task runs has blocked the event loop")
    assert line_in(Ear.block, 2) in ear.heard[0]


async def test_a_stack_that_cannot_be_read_is_an_unknown_handlers(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_current_frames", dict)
    with open_watchdog(LIMIT, lambda: True, lambda: None):
        ear.block()
    assert ear.heard[0].startswith("an unknown handler has blocked the event loop")


async def test_a_look_at_something_that_changes_meanwhile_does_not_end_the_watch(ear: Ear) -> None:
    def busy() -> bool:
        raise RuntimeError("dictionary changed size during iteration")

    with open_watchdog(LIMIT, busy, lambda: None):
        ear.block()
    assert len(ear.heard) == 2


async def test_82_a_log_handler_that_raises_does_not_end_the_watch(
    ear: Ear, capsys: pytest.CaptureFixture[str]
) -> None:
    async def careless(event: Event) -> None:
        ear.block()

    ear.broken = True
    async with Runtime() as runtime:
        await runtime.spawn(careless, "a")
        with watched(runtime):
            await runtime.emit_and_wait("a")
            await anyio.to_thread.run_sync(ear.block)
            await runtime.emit_and_wait("a")
    assert sum("has blocked" in each for each in ear.heard) == 2
    assert "nobody listens" in capsys.readouterr().err


async def test_the_thread_ends_with_the_block() -> None:
    with open_watchdog(LIMIT, lambda: True, lambda: None):
        inside = [each.daemon for each in threading.enumerate() if each.name == NAME]
    assert inside == [True]
    assert NAME not in [each.name for each in threading.enumerate()]


async def test_the_thread_ends_with_a_block_that_raises() -> None:
    with pytest.raises(ZeroDivisionError), open_watchdog(LIMIT, lambda: True, lambda: None):
        raise ZeroDivisionError
    assert NAME not in [each.name for each in threading.enumerate()]


async def test_without_a_limit_there_is_no_thread() -> None:
    with open_watchdog(None, lambda: True, lambda: None):
        assert NAME not in [each.name for each in threading.enumerate()]


async def test_a_watch_over_a_closed_loop_ends_quietly(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_callback: object) -> None:
        raise RuntimeError("Event loop is closed")

    monkeypatch.setattr(module, "current_port", lambda: SimpleNamespace(submit=closed))
    with open_watchdog(LIMIT, lambda: True, lambda: None):
        (thread,) = [each for each in threading.enumerate() if each.name == NAME]
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert ear.heard == []


@pytest.mark.parametrize("options", [("trio", {}), ("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=str)
def test_11_a_handler_is_named_on_every_loop_in_real_time(options: tuple[str, dict[str, bool]], ear: Ear) -> None:
    if options[1]:
        pytest.importorskip("uvloop")

    async def careless(event: Event) -> None:
        ear.block()

    async def program() -> None:
        async with Runtime() as runtime:
            await runtime.spawn(careless, "a")
            with watched(runtime):
                await runtime.emit_and_wait("a")

    anyio.run(program, backend=options[0], backend_options=options[1])
    assert ["the handler of careless" in each for each in ear.heard] == [True, True]


LIBRARY = """
def wait(told):
    told.wait(5)

async def handler(event):
    event.data.wait(5)
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A library that blocks, where libraries are installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "blocking_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module("blocking_library")


async def test_a_line_of_a_library_is_told_as_that_of_the_handler_that_calls_it(ear: Ear, library: ModuleType) -> None:
    async def careless(event: Event) -> None:
        library.wait(ear.heard_something)

    async with Runtime() as runtime:
        await runtime.spawn(careless, "a")
        with watched(runtime):
            await runtime.emit_and_wait("a")
    assert line_in(careless, 1) in ear.heard[0]


async def test_a_handler_that_is_a_library_s_is_told_with_its_own_line(ear: Ear, library: ModuleType) -> None:
    async with Runtime() as runtime:
        await runtime.spawn(library.handler, "a")
        with watched(runtime):
            await runtime.emit_and_wait("a", ear.heard_something)
    assert f"{library.__file__}:6 in handler" in ear.heard[0]


async def test_without_the_gil_no_stack_is_read(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with open_watchdog(LIMIT, lambda: True, lambda: None):
        ear.block()
    assert ear.heard[0].startswith("an unknown handler has blocked the event loop")


async def test_a_loop_that_answers_while_its_stack_is_read_is_not_told_of(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Callable[[], None]] = []
    read: list[None] = []

    def answered_meanwhile(*_arguments: object) -> object:
        asked[-1]()
        read.append(None)
        return module._UNKNOWN

    monkeypatch.setattr(module, "current_port", lambda: SimpleNamespace(submit=asked.append))
    monkeypatch.setattr(module, "_blocker_of", answered_meanwhile)
    looks = Looks()
    with open_watchdog(LIMIT, lambda: True, looks):
        looks.block()
    assert read
    assert ear.heard == []
