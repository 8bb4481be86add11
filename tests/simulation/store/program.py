"""Programs of processes on a store, as values.

Units: seconds of virtual time; steps of tasks.
"""

from typing import Any, Literal, TypeAlias

import attrs

from postroom.event import Priority
from postroom.testing.faults import Fault

How: TypeAlias = Literal["emit", "and_wait", "many"]
Then: TypeAlias = Literal["release", "clear", "leave"]
Kind: TypeAlias = Literal["function", "batch", "actor"]
Overflows: TypeAlias = Literal["wait", "drop_oldest", "drop_newest", "coalesce"]
Change: TypeAlias = Literal["pause", "resume", "drain", "stop", "start"]


@attrs.frozen(kw_only=True)
class StoreSpec:
    """A subscription, the same in all processes that serve it.

    Attributes:
        served_by: Numbers of processes.
        batch: The most events in a batch, and how long one is waited for.
        restarts: An actor is restarted when it fails.
        rate: Seconds between two attempts on average, and how many may begin at once.
    """

    name: str
    patterns: tuple[str, ...]
    served_by: tuple[int, ...]
    capacity: int = 2
    concurrency: int = 1
    attempts: int = 1
    backoff: float = 1.0
    timeout: float | None = None
    backlog: int | None = None
    overflow: Overflows = "wait"
    kind: Kind = "function"
    batch: tuple[int, float] = (2, 0.0)
    restarts: bool = False
    rate: tuple[float, int] | None = None

    @property
    def bound(self) -> int | None:
        """How many deliveries may wait for it in the store."""
        return self.capacity if self.backlog is None and self.overflow != "wait" else self.backlog


@attrs.frozen(kw_only=True)
class StoreDraft:
    """An event to be emitted; its actions are what handlers do in their attempts at it, joined by commas."""

    name: str
    actions: str = "ok"
    key: str | None = None
    id: str | None = None
    priority: Priority = "default"
    delay: float | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What is not as usual, as `emit` takes it."""
        chosen = {"key": self.key, "id": self.id, "delay": self.delay}
        options: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
        return options if self.priority == "default" else {**options, "priority": self.priority}


@attrs.frozen(kw_only=True)
class StoreOperation:
    """Something that a process does.

    Attributes:
        process: Its number.
    """

    process: int = 0


@attrs.frozen(kw_only=True)
class Start(StoreOperation):
    """Start the process, unless it runs."""


@attrs.frozen(kw_only=True)
class Kill(StoreOperation):
    """End it as `kill -9` does, after so many steps: it writes nothing more."""

    after: int = 0


@attrs.frozen(kw_only=True)
class Leave(StoreOperation):
    """Let its block end."""


@attrs.frozen(kw_only=True)
class Stall(StoreOperation):
    """Let its lease run out, as a machine that sleeps does."""


@attrs.frozen(kw_only=True)
class Send(StoreOperation):
    """Emit some events, one after the other or together."""

    drafts: tuple[StoreDraft, ...]
    how: How = "emit"
    cancel_after: int | None = None


@attrs.frozen(kw_only=True)
class StageSome(StoreOperation):
    """Stage some events, then release or clear the group, or leave it to others."""

    drafts: tuple[StoreDraft, ...]
    id: str = "g"
    then: Then = "release"


@attrs.frozen(kw_only=True)
class ReplaySome(StoreOperation):
    """Replay the oldest dead letter, some seconds after it was listed."""

    after: float = 0.0


@attrs.frozen(kw_only=True)
class Alter(StoreOperation):
    """Pause or resume a subscription; stop it, at once or drained, or start it again."""

    which: int = 0
    change: Change = "pause"


@attrs.frozen(kw_only=True)
class Wait(StoreOperation):
    """Let time pass."""

    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class Faults:
    """How the store fails until everything is set right.

    Attributes:
        rate: How many of the calls go wrong.
        kinds: In which ways.
        slowness: Seconds that a slow call takes more.
        lasts: Seconds after each fault in which every call goes wrong.
        only: The calls that go wrong; all where there are none.
        deadly: How many of the calls end their process, or its store.
        deaths: In which ways.
    """

    rate: float = 0.0
    kinds: tuple[Fault, ...] = ()
    slowness: float = 1.0
    lasts: float = 0.0
    only: tuple[str, ...] = ()
    deadly: float = 0.0
    deaths: tuple[Fault, ...] = ()

    @property
    def are_mild(self) -> bool:
        """Whether a runtime that ends has the time to write all that it has handled."""
        if self.deadly and Fault.BROKEN in self.deaths:
            return False
        if not self.rate or (self.only and "settle" not in self.only):
            return True
        return self.kinds == (Fault.SLOW,) and self.slowness < 1


@attrs.frozen(kw_only=True)
class StoreProgram:
    """All that a run does, but for the order in which its tasks run.

    Attributes:
        pace: Steps between two operations; None for as many as it takes until nothing can run before time goes on.
        spurious: How often there is news of nothing.
        revives_after: Seconds after which a process that has ended begins anew; None for never.
    """

    processes: int = 1
    specs: tuple[StoreSpec, ...] = ()
    operations: tuple[StoreOperation, ...] = ()
    faults: Faults = Faults()
    losses: int = 3
    tick: float = 0.0
    pace: int | None = 0
    revives_after: float | None = None
    spurious: float = 0.0
    drain_within: float = 3.0
    cleanup_within: float = 1.0
