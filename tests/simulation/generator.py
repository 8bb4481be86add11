"""Random programs: the same seed gives the same program, in whatever process.

Each program uses a random part of what there is: one that does everything at once hides what needs quiet to show.
"""

from collections.abc import Sequence
from random import Random
from typing import Final, TypeVar

import attrs

from .program import (
    ENDINGS,
    HOWS,
    STRATEGIES,
    THENS,
    Draft,
    Emit,
    End,
    Group,
    Idle,
    Kind,
    Many,
    Operation,
    Pause,
    Program,
    Replay,
    Sleep,
    Spawn,
    Spec,
    Stage,
    StepClock,
    Stop,
    Team,
)

T = TypeVar("T")

NAMES: Final = ("a", "b", "a.x", "a.y", "b.x.y")
PATTERNS: Final = ("a", "b", "a.*", "*", "*.x", "a.**", "**", "b.*.y")
MOST_SUBSCRIPTIONS: Final = 8

FEATURES: Final = (
    "keys", "ids", "priorities", "delays", "expiries", "overrides", "retries", "timeouts", "batches", "concurrency",
    "overflows", "breakers", "rates", "actors", "restarts", "teams", "stops", "pauses", "groups", "replays", "nested",
    "failures", "odd", "cancels", "clock", "portable", "interceptors", "ticks",
)  # fmt: skip


def generate(seed: int) -> Program:
    """The program of a seed."""
    return _Generator(Random(f"program {seed}")).program()


@attrs.define(eq=False)
class _Generator:
    random: Random
    features: frozenset[str] = frozenset()
    names: list[str] = attrs.field(factory=list)
    spawned: int = 0
    keys: Sequence[str | None] = (None,)
    known: dict[str, Draft] = attrs.field(factory=dict)

    def program(self) -> Program:
        random = self.random
        likelihood = random.choice((0.25, 0.5, 0.75))
        self.features = frozenset(each for each in FEATURES if random.random() < likelihood)
        if self.has("keys"):
            self.keys = random.choice(((None, "k"), ("k", "l"), (None, None, "k", "l")))
        processes = 2 if random.random() < 0.1 else 1
        operations: list[Operation] = []
        for process in range(processes):
            operations += [self.spawn(process) for _ in range(random.randint(1, 4))]
        for _ in range(random.choice((5, 10, 20, 40))):
            made = self.operation(random.randrange(processes))
            operations.append(made)
            if isinstance(made, Stop) and random.random() < 0.4:  # as a new release of a service may do
                again = attrs.evolve(self.spec(), name=made.which)
                operations += [Sleep(seconds=random.choice((0.0, 0.5))), Spawn(process=made.process, spec=again)]
        return Program(
            processes=processes,
            operations=tuple(operations),
            end=self.end(),
            tick=random.choice((1e-6, 1e-5, 2e-4)) if self.has("ticks") else 0.0,
            portable=self.has("portable") and random.random() < 0.5,
            interceptors=self.has("interceptors") and random.random() < 0.5,
            causation_depth=random.choice((2, 6)),
            attempts=random.choice((None, 2)) if self.has("retries") else None,
        )

    def has(self, feature: str) -> bool:
        return feature in self.features

    def one_of(self, feature: str, *values: T) -> T:
        """One of some values, where the program uses this feature; otherwise the first."""
        return self.random.choice(values) if self.has(feature) else values[0]

    def end(self) -> End:
        random = self.random
        kind = random.choice(ENDINGS)
        cancels = kind == "drain" and self.has("cancels") and random.random() < 0.5
        return End(
            kind=kind,
            cancel_after=random.randint(0, 60) if cancels else None,
            drain_within=random.choice((0.0, 0.5, 3.0, 10.0)),
            cleanup_within=random.choice((0.0, 1.0, 5.0)),
        )

    def operation(self, process: int) -> Operation:
        random = self.random
        choices: list[tuple[int, str]] = [(10, "emit"), (3, "many"), (3, "sleep"), (2, "spawn"), (1, "idle")]
        choices += [(weight, name) for name, weight in _OPTIONAL.items() if self.has(name)]
        kind = random.choices([name for _, name in choices], [weight for weight, _ in choices])[0]
        made = self.make(kind, process)
        if self.has("cancels") and random.random() < 0.3 and not isinstance(made, Sleep | StepClock):
            made = attrs.evolve(made, cancel_after=random.choice((random.randint(0, 5), random.randint(0, 80))))
        return made

    def make(self, kind: str, process: int) -> Operation:
        random = self.random
        match kind:
            case "emit":
                how = random.choices(HOWS, (5, 2, 2, 1))[0]
                drafts = self.drafts(random.choice((1, 1, 1, 3, 8)))
                return Emit(process=process, drafts=drafts, how=how, waiters=random.choice((0, 1, 1, 2)))
            case "many":
                return Many(process=process, drafts=self.drafts(random.randint(0, 5)))
            case "sleep":
                return Sleep(seconds=random.choice((0.0, 0.0, 0.0, 0.5, 1.0, 2.5)))
            case "idle":
                return Idle(process=process)
            case "spawn":
                return self.spawn(process)
            case "teams":
                specs = tuple(self.actor() for _ in range(random.randint(2, 3)))
                strategy = random.choice(STRATEGIES)
                return Team(process=process, specs=specs, strategy=strategy, intensity=random.choice((1, 5)))
            case "stops":
                return Stop(process=process, which=random.choice(self.names), drain=random.random() < 0.5)
            case "pauses":
                return Pause(process=process, which=random.choice(self.names), seconds=random.choice((0.5, 2.0)))
            case "groups" if random.random() < 0.5:
                ends_well = random.random() < 0.7
                seconds = random.choice((0.0, 1.0))
                return Group(process=process, drafts=self.drafts(3), ends_well=ends_well, seconds=seconds)
            case "groups":
                then = random.choice(THENS)
                return Stage(process=process, drafts=self.drafts(2), id=random.choice("gh"), then=then)
            case "replays":
                return Replay(process=process, which=random.randrange(10))
            case _:
                return StepClock(seconds=random.choice((-86400.0, -3600.0, 3600.0)))

    def spawn(self, process: int) -> Spawn:
        return Spawn(process=process, spec=self.spec())

    def name(self) -> str:
        name = f"s{self.spawned % MOST_SUBSCRIPTIONS}"  # one that is at work still is refused
        self.spawned += 1
        self.names.append(name)
        return name

    def spec(self) -> Spec:
        random = self.random
        if self.has("actors") and random.random() < 0.4:
            return self.actor()
        kind: Kind = "batch" if self.has("batches") and random.random() < 0.4 else "function"
        failing = self.has("breakers") and random.random() < 0.4
        return Spec(
            name=self.name(),
            patterns=self.patterns(),
            kind=kind,
            capacity=random.choice((1, 1, 2, 2, 3, 4)),
            overflow=self.one_of("overflows", "wait", "drop_oldest", "drop_newest", "coalesce"),
            concurrency=self.one_of("concurrency", 1, 2, 3),
            attempts=self.one_of("retries", None, 2, 3),
            backoff=random.choice((0.0, 0.5, 1.0, 4.0)),
            on_all=random.random() < 0.7,
            timeout=self.one_of("timeouts", None, 0.5, 2.0),
            batch=(random.randint(1, 3), random.choice((0.0, 0.5))),
            breaker=random.choice((1, 2)) if failing else None,
            rate=self.one_of("rates", None, None, 1.0, 4.0),
        )

    def actor(self) -> Spec:
        random = self.random
        restarts = self.has("restarts") and random.random() < 0.7
        return Spec(
            name=self.name(),
            patterns=self.patterns(),
            kind="actor",
            capacity=random.choice((1, 2, 3)),
            overflow=self.one_of("overflows", "wait", "wait", "drop_oldest", "coalesce"),
            attempts=self.one_of("retries", None, 2, 3),
            backoff=random.choice((0.0, 1.0)),
            timeout=self.one_of("timeouts", None, 2.0),
            restarts=random.choice(((0, "stop"), (1, "stop"), (5, "stop"), (5, "stop"), (1, "escalate")))
            if restarts
            else None,
            start=self.one_of("odd", "ok", "ok", "slow", "raise,ok", "ok,raise,ok"),
            stop=self.one_of("odd", "ok", "slow", "raise", "hang"),
        )

    def patterns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.random.choices(PATTERNS, k=self.random.choice((1, 1, 2)))))

    def drafts(self, count: int) -> tuple[Draft, ...]:
        return tuple(self.draft() for _ in range(count))

    def draft(self) -> Draft:
        """An event; where it has an id, mostly the very one that had it before."""
        made = self.new_draft()
        if made.id is None or self.random.random() < 0.2:
            return made
        return self.known.setdefault(made.id, made)

    def new_draft(self) -> Draft:
        random = self.random
        return Draft(
            name=random.choice(NAMES),
            actions=self.actions(),
            key=random.choice(self.keys),
            id=self.one_of("ids", None, None, "one", "two", "three"),
            priority=self.one_of("priorities", "default", "default", "critical", "high", "lowest"),
            delay=self.one_of("delays", None, None, 0.5, 3.0),
            expires_after=self.one_of("expiries", None, None, 0.5, 2.0),
            attempts=self.one_of("overrides", None, None, 1, 3),
            timeout=self.one_of("overrides", None, None, 1.0),
            require=self.one_of("overrides", False, False, True),
        )

    def actions(self) -> str:
        known = ["ok", "ok", "yield", "slow", "slow"]
        known += ["raise", "raise", "group", "fatal"] if self.has("failures") else []
        known += ["again", "again_nowait", "again_wait", "request"] if self.has("nested") else []
        known += ["hang", "swallow", "late"] if self.has("timeouts") else []
        known += ["down", "down"] if self.has("breakers") else []
        known += ["own_scope", "raw", "base", "unawaited", "children", "hang"] if self.has("odd") else []
        known += ["shaky", "shaky", "shaky"] if self.has("breakers") and self.has("odd") else []
        known += ["stop_self"] if self.has("stops") and self.has("odd") else []
        return ",".join(self.random.choices(known, k=self.random.choice((1, 1, 2, 3))))


_OPTIONAL: Final = {"teams": 1, "stops": 3, "pauses": 1, "groups": 3, "replays": 3, "clock": 1}
"""Operations of features, and how often they come beside the others."""
