"""The signals of a process that runs a service, one after the other; without ending the process of the test."""

import os
import signal
import threading
from typing import Any

import attrs
import pytest

from postroom.cli.statuses import NOT_DONE
from postroom.cli.stopping import SIGNALS, StoppedInImport, Stopping


class Ended(BaseException):
    """Stands for the end of the process."""


@attrs.define(eq=False)
class World:
    """What a process would be told, instead of being told.

    Attributes:
        handlers: Of signals, by number.
        done: What was asked of the system, in its order.
    """

    handlers: dict[int, Any] = attrs.field(factory=dict)
    done: list[tuple[Any, ...]] = attrs.field(factory=list)

    def signal(self, number: int) -> None:
        """A signal comes."""
        self.handlers[number](number, None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A process that can't be ended."""
    world = World()

    def handle(number: int, handler: Any) -> None:
        world.handlers[number] = handler

    def end(status: int) -> None:
        world.done.append(("end", status))
        raise Ended

    class NoThread:
        """Nobody looks at the time."""

        def __init__(self, **options: Any) -> None: ...

        def start(self) -> None: ...

    monkeypatch.setattr(signal, "signal", handle)
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(os, "kill", lambda pid, number: world.done.append(("kill", pid, number)))
    monkeypatch.setattr(threading, "Thread", NoThread)
    return world


@pytest.fixture
def stopping(world: World) -> Stopping:
    """Signals are heard, and the service's code is there."""
    stopping = Stopping()
    stopping.install()
    stopping.imported()
    return stopping


def test_a_signal_that_comes_before_anybody_listens_is_told_to_whoever_does(world: World, stopping: Stopping) -> None:
    woken: list[int] = []
    world.signal(signal.SIGTERM)
    stopping.listen(lambda: woken.append(stopping.count))
    assert woken == [1]
    world.signal(signal.SIGINT)
    assert woken == [1, 2]


def test_once_the_loop_has_ended_nobody_is_woken(world: World, stopping: Stopping) -> None:
    woken: list[int] = []
    stopping.listen(lambda: woken.append(stopping.count))
    stopping.deaf()
    world.signal(signal.SIGTERM)
    assert (woken, stopping.count) == ([], 1)


def test_a_signal_interrupts_an_import_once(world: World) -> None:
    stopping = Stopping()
    stopping.install()
    with pytest.raises(StoppedInImport):
        world.signal(signal.SIGINT)
    world.signal(signal.SIGTERM)
    assert stopping.count == 2


def test_a_third_signal_ends_the_process_there_and_then_and_names_who_is_at_work(
    world: World, stopping: Stopping, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_away: list[str] = []
    stopping.hung = lambda: ["mailer", "ledger"]
    stopping.before_end = lambda: taken_away.append("socket")
    world.signal(signal.SIGTERM)
    world.signal(signal.SIGINT)
    assert world.done == []
    with pytest.raises(Ended):
        world.signal(signal.SIGTERM)
    assert world.done == [("end", NOT_DONE)]
    assert taken_away == ["socket"]
    assert capsys.readouterr().err == "postroom: ended by force: still at work: ledger, mailer\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_fork_gets_back_what_a_signal_does_to_any_process_and_the_signal(
    world: World, stopping: Stopping, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    world.signal(number)
    assert world.handlers[number] is signal.SIG_DFL
    assert world.done == [("kill", parent + 1, number)]
    assert stopping.count == 0
