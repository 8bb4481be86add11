"""Random programs of processes on a store: the same seed gives the same program, in whatever process."""

from random import Random
from typing import Final

import attrs

from postroom.testing.faults import Fault

from .program import (
    Alter,
    Change,
    Faults,
    How,
    Kill,
    Kind,
    Leave,
    Overflows,
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
    "backlogs", "nested", "failures", "long", "timeouts", "cancels", "faults", "ticks", "poison", "changes", "pauses",
    "spurious", "drops", "batches", "actors",
)  # fmt: skip
KINDS: Final = (Fault.BUSY, Fault.FULL, Fault.LOST_REQUEST, Fault.LOST_REPLY, Fault.SLOW, Fault.TWICE)
DEATHS: Final = (Fault.CRASH, Fault.CRASH_AFTER, Fault.BROKEN)


@attrs.frozen(kw_only=True)
class Theme:
    """What a program is about: features that it has, and faults that it has among others.

    Attributes:
        only, kinds: As of `Faults`.
        alone: It is about one process.
        deadly: Calls end processes and stores often.
    """

    features: tuple[str, ...]
    only: tuple[str, ...] = ()
    kinds: tuple[Fault, ...] = ()
    alone: bool = False
    deadly: bool = False


PLAIN: Final = Theme(features=())
THEMES: Final = (
    Theme(features=("faults",), only=("publish",), kinds=(Fault.LOST_REPLY, Fault.BUSY)),
    Theme(features=("faults",), only=("publish",), kinds=(Fault.LOST_REPLY,), deadly=True),
    Theme(features=("faults",), only=("publish",), kinds=(Fault.LOST_REPLY,), alone=True, deadly=True),
    Theme(features=("faults", "stalls"), only=("publish", "fetch"), kinds=(Fault.LOST_REPLY, Fault.SLOW)),
    Theme(features=("faults", "stalls", "retries", "failures"), only=("news",), kinds=(Fault.LOST_REPLY,)),
    Theme(features=("faults", "leaves"), only=("settle", "fetch"), kinds=(Fault.BUSY, Fault.LOST_REPLY)),
    Theme(features=("faults", "failures", "retries"), only=("settle",), kinds=(Fault.BUSY, Fault.LOST_REQUEST)),
    Theme(features=("kills", "nested"), alone=True),
    Theme(features=("kills", "nested", "backlogs"), alone=True),
    Theme(features=("keys", "kills", "concurrency", "retries", "failures")),
    Theme(features=("stalls", "long", "retries", "failures")),
    Theme(features=("faults", "stalls"), only=("settle",), kinds=(Fault.LOST_REQUEST,)),
    Theme(features=("faults", "stalls"), only=("settle",), kinds=(Fault.LOST_REQUEST,), alone=True),
    Theme(features=("faults", "stalls"), only=("settle",), kinds=(Fault.LOST_REPLY, Fault.SLOW)),
    Theme(features=("faults", "stalls", "leaves"), only=("settle", "news"), kinds=(Fault.LOST_REPLY, Fault.TWICE)),
    Theme(features=("faults", "quiet"), only=("news",), kinds=(Fault.LOST_REPLY,)),
    Theme(features=("changes", "long", "concurrency")),
    Theme(features=("changes", "faults", "pauses"), only=("leave", "bind", "pause"), kinds=(Fault.SLOW, Fault.BUSY)),
    Theme(features=("drops", "keys", "failures", "replays")),
    Theme(features=("failures", "replays")),
    Theme(features=("faults",), only=("publish",), kinds=(Fault.BUSY, Fault.FULL)),
    Theme(features=("batches", "failures")),
    Theme(features=("batches", "actors", "failures", "retries", "stalls")),
    Theme(features=("stalls", "stubborn"), alone=True),
    Theme(features=("keys", "concurrency", "nested", "one key"), alone=True),
    Theme(features=("faults", "stalls", "changes"), only=("bind", "leave"), kinds=(Fault.SLOW, Fault.LOST_REPLY)),
)
CALLS: Final = ("publish", "fetch", "settle", "news", "reclaim", "bind", "leave", "subscriptions")


def generate_for_store(seed: int) -> StoreProgram:
    """The program of a seed."""
    return _Generator(Random(f"store program {seed}"), Random(f"store rates {seed}")).program()


@attrs.define(eq=False)
class _Generator:
    random: Random
    apart: Random  # so that rates leave all else as it was
    theme: Theme = PLAIN
    features: frozenset[str] = frozenset()
    processes: int = 1
    known: dict[str, StoreDraft] = attrs.field(factory=dict)

    def program(self) -> StoreProgram:
        random = self.random
        likelihood = random.choice((0.15, 0.3, 0.6))
        self.theme = random.choice((PLAIN,) * 4 + THEMES)
        self.features = frozenset(each for each in FEATURES if random.random() < likelihood).union(self.theme.features)
        self.processes = 1 if self.theme.alone else random.choice((1, 2, 2, 3))
        rates = (None, (0.5, 1), (2.0, 1), (2.0, 3)) if self.apart.random() < 0.15 else (None,)
        specs = tuple(self.spec(f"s{number}", self.apart.choice(rates)) for number in range(random.randint(1, 3)))
        operations: list[StoreOperation] = [Start(process=number) for number in range(self.processes)]
        if random.random() < 0.8:  # else what comes first finds processes that are not open yet
            operations.append(Wait(seconds=0.1))
        lengths = (2, 4) if "quiet" in self.theme.features else (4, 8, 16, 30)
        operations += [self.operation() for _ in range(random.choice(lengths))]
        return StoreProgram(
            processes=self.processes,
            specs=specs,
            operations=tuple(operations),
            faults=self.faults(),
            losses=random.choice((1, 2, 3)) if self.has("poison") else 3,
            tick=random.choice((1e-6, 1e-5)) if self.has("ticks") else 0.0,
            pace=random.choice((0, 1, 5, 20, None)),
            revives_after=random.choice((None, 0.0, 1.0, 20.0)),
            spurious=random.choice((0.1, 0.5)) if self.has("spurious") else 0.0,
            drain_within=random.choice((0.0, 0.5, 3.0)),
            cleanup_within=random.choice((0.0, 1.0)),
        )

    def has(self, feature: str) -> bool:
        return feature in self.features

    def faults(self) -> Faults:
        """How calls fail: few of them in all ways, or those of one kind nearly always."""
        random = self.random
        if not self.has("faults"):
            return Faults()
        theme = self.theme
        only = theme.only or (tuple(random.sample(CALLS, random.choice((1, 1, 2)))) if random.random() < 0.4 else ())
        kinds = tuple(each for each in KINDS if each in theme.kinds or random.random() < (0.2 if theme.kinds else 0.5))
        return Faults(
            rate=random.choice((0.1, 0.3, 0.7) if only else (0.02, 0.1, 0.3)) if kinds else 0.0,
            kinds=kinds,
            slowness=random.choice((0.5, 3.0, 20.0)),
            lasts=random.choice((0.0, 0.0, 0.5, 7.0)),
            only=only,
            deadly=random.choice((0.1, 0.3) if theme.deadly else (0.0, 0.01, 0.05)),
            deaths=tuple(each for each in DEATHS if random.random() < (0.4 if theme.deadly else 0.7)) or DEATHS,
        )

    def spec(self, name: str, rate: tuple[float, int] | None) -> StoreSpec:
        random = self.random
        everybody = range(self.processes)
        some = tuple(number for number in everybody if random.random() < 0.7)
        kinds: list[Kind] = ["function"]
        kinds += ["batch"] if self.has("batches") else []
        kinds += ["actor"] if self.has("actors") else []
        kind = random.choice(kinds)
        overflows: tuple[Overflows, ...] = ("drop_oldest", "drop_newest", "coalesce", "wait")
        return StoreSpec(
            name=name,
            patterns=tuple(dict.fromkeys(random.choices(PATTERNS, k=random.choice((1, 1, 2))))),
            served_by=some or tuple(everybody),
            capacity=random.choice((1, 2, 4)),
            concurrency=random.choice((1, 2)) if self.has("concurrency") and kind != "actor" else 1,
            attempts=random.choice((1, 2, 3)) if self.has("retries") else 1,
            backoff=random.choice((0.0, 1.0, 20.0)),
            timeout=random.choice((None, 2.0)) if self.has("timeouts") else None,
            backlog=random.choice((None, 1, 2)) if self.has("backlogs") else None,
            overflow=random.choice(overflows) if self.has("drops") else "wait",
            kind=kind,
            batch=(random.choice((2, 3)), random.choice((0.0, 0.5))),
            restarts=kind == "actor" and random.random() < 0.5,
            rate=rate,
        )

    def operation(self) -> StoreOperation:
        random = self.random
        choices = [(20, "send"), (12, "wait"), (6, "start")]
        favoured = self.theme.features
        choices += [(weight * (2 + (name in favoured)), name) for name, weight in _OPTIONAL.items() if self.has(name)]
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
            case "replays":
                return ReplaySome(process=process, after=random.choice((0.0, 0.0, 0.5)))
            case _:
                changes: tuple[Change, ...] = (
                    ("pause", "resume") if kind == "pauses" else ("drain", "stop", "start", "start")
                )
                return Alter(process=process, which=random.randrange(3), change=random.choice(changes))

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
            key=random.choice(("k",) * 4 + (None,) if self.has("one key") else (None, "k", "l"))
            if self.has("keys")
            else None,
            priority=random.choice(("default", "default", "high", "lowest")) if self.has("priorities") else "default",
            delay=random.choice((None, None, 0.5, 10.0)) if self.has("delays") else None,
        )

    def actions(self) -> str:
        known = ["ok", "ok", "yield", "slow", "slow"]
        known += ["raise", "raise"] if self.has("failures") else []
        known += ["raise"] * 3 if "failures" in self.theme.features else []
        known += ["again", "again_wait"] if self.has("nested") else []
        known += ["again_wait"] * 3 if "nested" in self.theme.features else []
        known += ["long", "long"] if self.has("long") else []
        known += ["stubborn"] if self.has("stalls") or self.has("timeouts") else []
        known += ["stubborn"] * 6 if self.has("stubborn") else []
        known += ["part"] * 3 if self.has("batches") and self.has("failures") else []
        known += ["die"] if self.has("poison") else []
        return ",".join(self.random.choices(known, k=self.random.choice((1, 1, 2, 3))))


_OPTIONAL: Final = {"kills": 3, "leaves": 2, "stalls": 2, "groups": 3, "replays": 3, "changes": 4, "pauses": 3}
"""Operations of features, and how often they come beside the others."""
