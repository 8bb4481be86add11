"""The runtime of a test: as strict as any event module, repeatable, and recorded."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from postroom.runtime import Runtime
from postroom.subscriber import Subscriber

from .recorder import Recorder


@asynccontextmanager
async def open_runtime(
    *subscribers: Subscriber[..., Any], recorder: Recorder | None = None, portable: bool = True, **options: Any
) -> AsyncGenerator[Runtime]:
    """A block with a runtime for tests.

    It is portable: a payload that a durable module could not carry is refused, and each handler gets a copy of its
    own, so that one that changes its payload fails in its own tests. Ids count from `event-1`, across the runtimes of
    one recorder, and retries spread the same way each time, unless `ids` or `random` are given.

    Args:
        recorder: Told of each event and its outcomes, from the first one to those of the drain.
        options: As `Runtime` takes them.

    Raises:
        InvalidOption, DuplicateSubscription: as `Runtime`.

    Cancellation: cancels what is in hand, as an error in the block does.
    """
    recorder = Recorder() if recorder is None else recorder
    options.setdefault("ids", recorder.new_id)
    options.setdefault("random", Random(0))
    runtime = Runtime(subscribers=subscribers, portable=portable, **options)
    with runtime.recording(recorder):
        async with runtime:
            yield runtime
