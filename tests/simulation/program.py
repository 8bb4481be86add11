"""Programs: what a simulated service does, as values that can be printed, run again, and made smaller.

Units: seconds of virtual time; steps of tasks.
"""

from typing import Any, Final, Literal, TypeAlias

import attrs

from postroom.event import Priority
from postroom.subscriber import OverflowPolicy

Actions: TypeAlias = str
"""What handlers do in the attempts at an event, joined by commas; the last one goes on for all further attempts."""


Kind: TypeAlias = Literal["function", "batch", "actor"]
How: TypeAlias = Literal["emit", "nowait", "and_wait", "request"]
HOWS: Final[tuple[How, ...]] = ("emit", "nowait", "and_wait", "request")
StrategyName: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
STRATEGIES: Final[tuple[StrategyName, ...]] = ("one_for_one", "one_for_all", "rest_for_one")
Then: TypeAlias = Literal["release", "clear", "leave"]
THENS: Final[tuple[Then, ...]] = ("release", "clear", "leave")
Ending: TypeAlias = Literal["healed", "drain", "cancel", "error"]
ENDINGS: Final[tuple[Ending, ...]] = ("healed", "healed", "drain", "drain", "cancel", "error")


@attrs.frozen(kw_only=True)
class Spec:
    """A subscription to be.

    Attributes:
        kind: A function, a function that takes batches, or an actor.
        on_all: All exceptions are worth another attempt, or only `Boom`.
        breaker: Failures that open its breaker.
        rate: Attempts a second.
        restarts: What an actor's failures come to: how many restarts, and what comes then; None for `resume`.
        start, stop: What its instances do when they start and stop, one after the other.
    """

    name: str
    patterns: tuple[str, ...]
    kind: Kind = "function"
    capacity: int = 2
    overflow: OverflowPolicy = "wait"
    concurrency: int = 1
    attempts: int | None = None
    backoff: float = 1.0
    on_all: bool = True
    timeout: float | None = None
    batch: tuple[int, float] = (2, 0.0)
    breaker: int | None = None
    rate: float | None = None
    restarts: tuple[int, Literal["stop", "escalate"]] | None = None
    start: Actions = "ok"
    stop: Actions = "ok"


@attrs.frozen(kw_only=True)
class Draft:
    """An event to be emitted."""

    name: str
    actions: Actions = "ok"
    key: str | None = None
    id: str | None = None
    priority: Priority = "default"
    delay: float | None = None
    expires_after: float | None = None
    attempts: int | None = None
    timeout: float | None = None
    require: bool = False

    @property
    def of_event(self) -> dict[str, Any]:
        """What is not as usual, as `Event` takes it."""
        return {name: value for name, value in self.options.items() if name != "require"}

    @property
    def options(self) -> dict[str, Any]:
        """What is not as usual, as `emit` takes it."""
        chosen: dict[str, Any] = {
            "key": self.key,
            "id": self.id,
            "delay": self.delay,
            "expires_after": self.expires_after,
            "attempts": self.attempts,
            "timeout": self.timeout,
        }
        options = {name: value for name, value in chosen.items() if value is not None}
        if self.priority != "default":
            options["priority"] = self.priority
        if self.require:
            options["require"] = True
        return options


@attrs.frozen(kw_only=True)
class Operation:
    """Something that is done in a task of its own.

    Attributes:
        process: Which runtime does it.
        cancel_after: Steps, of whatever tasks, after which the task is cancelled.
    """

    process: int = 0
    cancel_after: int | None = None


@attrs.frozen(kw_only=True)
class Spawn(Operation):
    """Put one more subscription to work."""

    spec: Spec


@attrs.frozen(kw_only=True)
class Team(Operation):
    """Put siblings to work."""

    specs: tuple[Spec, ...]
    strategy: StrategyName = "one_for_all"
    intensity: int = 2


@attrs.frozen(kw_only=True)
class Stop(Operation):
    which: str
    drain: bool = True


@attrs.frozen(kw_only=True)
class Pause(Operation):
    """Pause a subscription, and resume it after some seconds."""

    which: str
    seconds: float = 1.0


@attrs.frozen(kw_only=True)
class Emit(Operation):
    """Emit some events one after the other, and have so many tasks wait for each receipt."""

    drafts: tuple[Draft, ...]
    how: How = "emit"
    waiters: int = 0


@attrs.frozen(kw_only=True)
class Many(Operation):
    """Emit some events together."""

    drafts: tuple[Draft, ...]


@attrs.frozen(kw_only=True)
class Group(Operation):
    """Emit some events in the block of a group, which ends well or raises, after some seconds in it."""

    drafts: tuple[Draft, ...]
    ends_well: bool = True
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class Stage(Operation):
    """Stage some events under an id; then release or clear it, or leave it."""

    drafts: tuple[Draft, ...]
    id: str = "g"
    then: Then = "release"


@attrs.frozen(kw_only=True)
class Replay(Operation):
    """Replay one of the dead letters, counted from the oldest as often as it takes."""

    which: int = 0


@attrs.frozen(kw_only=True)
class Idle(Operation):
    """Wait until nothing is pending."""


@attrs.frozen(kw_only=True)
class Sleep(Operation):
    """Let time pass before the next operation; 0 lets the other tasks run once."""

    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class StepClock(Operation):
    """Let the wall clock jump."""

    seconds: float = 3600.0


@attrs.frozen(kw_only=True)
class End:
    """How the blocks of the runtimes end.

    Attributes:
        kind: After everything was set right and has come to rest; or at once, with a drain, a cancellation or an error.
        cancel_after: Steps after its beginning after which a drain is cancelled.
        drain_within, cleanup_within: As `Runtime` takes them.
    """

    kind: Ending = "healed"
    cancel_after: int | None = None
    drain_within: float = 10.0
    cleanup_within: float = 5.0


@attrs.frozen(kw_only=True)
class Program:
    """All that a run does, but for the order in which its tasks run.

    Attributes:
        processes: How many runtimes there are.
        tick: Seconds that pass at each look at the clock.
        portable, interceptors: As of `Runtime`.
        attempts: What the runtimes' defaults say.
    """

    processes: int = 1
    operations: tuple[Operation, ...] = ()
    end: End = End()
    tick: float = 0.0
    portable: bool = False
    interceptors: bool = False
    causation_depth: int = 6
    attempts: int | None = None
