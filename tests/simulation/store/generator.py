"""Random programs of processes on a store: the same seed gives the same program, in whatever process."""

from random import Random
from typing import Final

import attrs

from postroom.testing.faults import Fault

from .program import (
    Faults,
    How,
    Kill,
    Leave,
    ReplaySome,
    Send,
    StageSome,
    Stall,
    Start,
    StoreDraft,
    StoreOperation,
    StoreProgram,
    StoreSpec,
    Then,
    Wait,
)

NAMES: Final = ("a", "b", "a.x")
PATTERNS: Final = ("a", "b", "a.*", "**")
FEATURES: Final = (
    "keys", "ids", "priorities", "delays", "retries", "concurrency", "kills", "leaves", "stalls", "groups", "replays",
    "backlogs", "nested", "failures", "long", "timeouts", "cancels", "faults", "ticks", "poison",
)  # fmt: skip
KINDS: Final = (
    Fault.BUSY, Fault.FULL, Fault.LOST_REQUEST, Fault.LOST_REPLY, Fault.SLOW, Fault.TWICE, Fault.CRASH,
    Fault.CRASH_AFTER, Fault.BROKEN,
)  # fmt: skip


def generate_for_store(seed: int) -> StoreProgram:
    """The program of a seed."""
    return _Generator(Random(f"store program {seed}")).program()


@attrs.define(eq=False)
class _Generator:
    random: Random
    features: frozenset[str] = frozenset()
    processes: int = 1
    known: dict[str, StoreDraft] = attrs.field(factory=dict)

    def program(self) -> StoreProgram:
        random = self.random
        likelihood = random.choice((0.25, 0.5, 0.75))
        self.features = frozenset(each for each in FEATURES if random.random() < likelihood)
        self.processes = random.choice((1, 2, 2, 3))
        specs = tuple(self.spec(f"s{number}") for number in range(random.randint(1, 3)))
        operations: list[StoreOperation] = [Start(process=number) for number in range(self.processes)]
        operations += [self.operation() for _ in range(random.choice((4, 8, 16, 30)))]
        return StoreProgram(
            processes=self.processes,
            specs=specs,
            operations=tuple(operations),
            faults=self.faults(),
            losses=random.choice((1, 2, 3)) if self.has("poison") else 3,
            tick=random.choice((1e-6, 1e-5)) if self.has("ticks") else 0.0,
            drain_within=random.choice((0.0, 0.5, 3.0)),
            cleanup_within=random.choice((0.0, 1.0)),
        )

    def has(self, feature: str) -> bool:
        return feature in self.features

    def faults(self) -> Faults:
        random = self.random
        if not self.has("faults"):
            return Faults()
        only_slow = random.random() < 0.2
        kinds = (Fault.SLOW,) if only_slow else tuple(each for each in KINDS if random.random() < 0.5)
        rate = random.choice((0.02, 0.1, 0.3)) if kinds else 0.0
        slowness, lasts = random.choice((0.5, 3.0, 20.0)), random.choice((0.0, 0.0, 0.5, 7.0))
        return Faults(rate=rate, kinds=kinds, slowness=slowness, lasts=lasts)

    def spec(self, name: str) -> StoreSpec:
        random = self.random
        everybody = range(self.processes)
        some = tuple(number for number in everybody if random.random() < 0.7)
        return StoreSpec(
            name=name,
            patterns=tuple(dict.fromkeys(random.choices(PATTERNS, k=random.choice((1, 1, 2))))),
            served_by=some or tuple(everybody),
            capacity=random.choice((1, 2, 4)),
            concurrency=random.choice((1, 2)) if self.has("concurrency") else 1,
            attempts=random.choice((1, 2, 3)) if self.has("retries") else 1,
            backoff=random.choice((0.0, 1.0, 20.0)),
            timeout=random.choice((None, 2.0)) if self.has("timeouts") else None,
            backlog=random.choice((None, 1, 2)) if self.has("backlogs") else None,
        )

    def operation(self) -> StoreOperation:
        random = self.random
        choices = [(10, "send"), (6, "wait"), (3, "start")]
        choices += [(weight, name) for name, weight in _OPTIONAL.items() if self.has(name)]
        kind = random.choices([name for _, name in choices], [weight for weight, _ in choices])[0]
        process = random.randrange(self.processes)
        match kind:
            case "send":
                hows: tuple[How, ...] = ("emit", "and_wait", "many")
                how = random.choices(hows, (4, 1, 2))[0]
                drafts = tuple(self.draft() for _ in range(random.choice((1, 1, 2, 4))))
                cancels = self.has("cancels") and random.random() < 0.3
                steps = random.randint(0, 30) if cancels else None
                return Send(process=process, drafts=drafts, how=how, cancel_after=steps)
            case "wait":
                return Wait(seconds=random.choice((0.0, 0.0, 0.2, 1.0, 5.0, 16.0)))
            case "start":
                return Start(process=process)
            case "kills":
                return Kill(process=process, after=random.choice((0, random.randint(0, 40))))
            case "leaves":
                return Leave(process=process)
            case "stalls":
                return Stall(process=process)
            case "groups":
                thens: tuple[Then, ...] = ("release", "release", "clear", "leave")
                then = random.choice(thens)
                drafts = tuple(self.new_draft() for _ in range(random.randint(1, 3)))
                return StageSome(process=process, drafts=drafts, id=random.choice("gh"), then=then)
            case _:
                return ReplaySome(process=process)

    def draft(self) -> StoreDraft:
        """An event; where it has an id, mostly the very one that had it before."""
        made = self.new_draft()
        if not self.has("ids") or self.random.random() < 0.6:
            return made
        id = self.random.choice(("one", "two", "three", "four"))
        return self.known.setdefault(id, attrs.evolve(made, id=id))

    def new_draft(self) -> StoreDraft:
        random = self.random
        return StoreDraft(
            name=random.choice(NAMES),
            actions=self.actions(),
            key=random.choice((None, "k", "l")) if self.has("keys") else None,
            priority=random.choice(("default", "default", "high", "lowest")) if self.has("priorities") else "default",
            delay=random.choice((None, None, 0.5, 10.0)) if self.has("delays") else None,
        )

    def actions(self) -> str:
        known = ["ok", "ok", "yield", "slow", "slow"]
        known += ["raise", "raise"] if self.has("failures") else []
        known += ["again", "again_wait"] if self.has("nested") else []
        known += ["long", "long"] if self.has("long") else []
        known += ["stubborn"] if self.has("stalls") or self.has("timeouts") else []
        known += ["die"] if self.has("poison") else []
        return ",".join(self.random.choices(known, k=self.random.choice((1, 1, 2, 3))))


_OPTIONAL: Final = {"kills": 3, "leaves": 2, "stalls": 2, "groups": 3, "replays": 2}
"""Operations of features, and how often they come beside the others."""
