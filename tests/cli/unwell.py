"""Services that end otherwise than by being told to, as the tests of the command line run them."""

import os
import signal
import sys
import threading
import time
from typing import Any

import anyio

from postroom import Event, InvalidOption, Runtime, RuntimeClosed, subscriber
from postroom.modules.sqlite import SqliteModule
from tests.processes.child import say


@subscriber("interrupted")
async def interrupted(event: Event) -> None:
    """Raises what ends programs."""
    raise KeyboardInterrupt


@subscriber("exited")
async def exited(event: Event) -> None:
    """Raises what ends programs with a status."""
    sys.exit(3)


@subscriber("slow", concurrency=1)
async def slow(event: Event) -> None:
    """Is at work for as long as it may be."""
    say("begun", event.id)
    await anyio.sleep_forever()


def defect() -> Runtime:
    """Can't be made."""
    raise LookupError("no settings at redis://shop:hush@host/0")


def defects() -> Runtime:
    """Can't be made, since one thing is wrong in a group of them."""
    raise ExceptionGroup("settings", [InvalidOption("REDIS", "", "must be set")])


def exiting() -> Runtime:
    """Ends the program with a word of its own."""
    sys.exit("no settings")


def interrupting() -> Runtime:
    """Gets an event whose handler raises what ends programs."""
    return _given(Runtime(subscribers=[interrupted]), "interrupted", 1)


def exiting_in_a_handler() -> Runtime:
    """Likewise, with a status."""
    return _given(Runtime(subscribers=[exited]), "exited", 1)


def full() -> Runtime:
    """In memory, with more to do than it can."""
    return _given(Runtime(subscribers=[slow], drain_within=0.2, cleanup_within=0.2), "slow", 3)


def handling() -> Runtime:
    """On a store, which this process serves where nobody says otherwise."""
    return Runtime(module=SqliteModule("shop.db"), subscribers=[slow], role="handle")


def lingering() -> Runtime:
    """Leaves a thread behind that does not end."""
    threading.Thread(target=time.sleep, args=(300,)).start()
    return Runtime(drain_within=0.2, cleanup_within=0.2)


async def interrupted_while_made() -> Runtime:
    """Is told to end while it is made for a command that asks it."""
    os.kill(os.getpid(), signal.SIGTERM)
    await anyio.sleep_forever()
    raise AssertionError("it was told to end")


def _given(runtime: Runtime, name: str, count: int) -> Runtime:
    """A runtime that gets events from a thread once it is open."""

    def give() -> None:
        ids: list[Any] = [str(number) for number in range(count)]
        while ids:
            try:
                runtime.emit_from_thread(name, id=ids[0])
            except RuntimeClosed:  # not open yet
                time.sleep(0.001)
            else:
                ids.pop(0)
        say("given")

    threading.Thread(target=give, daemon=True).start()
    return runtime
