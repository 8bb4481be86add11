"""The same calls of the journal in the same order give the same results on Redis and on the reference store."""

from typing import Any

import pytest
from hypothesis import Phase, settings

from postroom.contract import Binding, Notice
from postroom.modules.redis import scripts, wire
from postroom.testing.reference.records import EPOCH
from tests.modules.journal_model import JournalMachine
from tests.servers.redis import RedisServer, Wire

from .driver import Driver, done, settings_of

SERVER = RedisServer()


@pytest.fixture(scope="module", autouse=True)
def server() -> Any:
    with SERVER:
        yield SERVER


class SameAsReference(JournalMachine):
    machines = 0  # a namespace is used once

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        SameAsReference.machines += 1
        self.settings = settings_of(SERVER.url, f"j{self.machines}", lambda: EPOCH + self.now)
        self.wire = Wire(SERVER.port).__enter__()
        self.wire.ask("FLUSHALL")
        self.drivers: dict[str, Driver] = {}

    def teardown(self) -> None:
        self.wire.__exit__()

    def start(self, slot: str) -> None:
        self.drivers[slot] = Driver(self.wire, self.settings, self.names[slot])

    def end(self, slot: str) -> None:
        self.drivers[slot].end()

    def on_reference(self, slot: str, call: Any) -> Any:
        served = {name for name, own in self.reference.sessions.items() if own.serves}

        def serving(session: str) -> Any:
            if session not in served and "ledger" in self.reference.bindings:  # it serves again what it did before
                self.reference.sessions[session].serves.add("ledger")
            return call(session)

        return super().on_reference(slot, serving)

    def real(self, slot: str, call: str, *arguments: Any) -> Any:
        journal = self.drivers[slot].session.journal
        match call:
            case "begin":
                number, new, lend = arguments
                return done(journal.begin(number, new, lend=lend))
            case "run":
                return done(journal.run(arguments[0], watch=arguments[1]))
            case _:
                return done(getattr(journal, call)(*arguments))

    def renew(self, slot: str) -> None:
        self.drivers[slot].renew()

    def bind(self, slot: str, binding: Binding) -> None:
        done(self.drivers[slot].session.bind([binding], serve=True))

    def fetch(self, slot: str) -> list[str]:
        return [loan.id for loan in done(self.drivers[slot].session.fetch({"ledger": 100})).loans]

    def heard(self, slot: str) -> list[Notice]:
        driver = self.drivers[slot]
        driver.run(scripts.ROUTES)
        news = wire.news(driver.run(scripts.NEWS, 0, driver.caller.life))
        after = wire.news(driver.run(scripts.NEWS, news.number, driver.caller.life))
        assert not after.notices
        return list(news.notices)

    def leftovers(self) -> list[str]:
        """Looked up key by key, as no script does."""
        ask, prefix = self.wire.ask, self.settings.prefix

        def texts(*command: str) -> list[str]:
            return [each.decode() for each in ask(*command)]

        keys = [each.removeprefix(prefix) for each in texts("KEYS", prefix + "*")]
        of = {kind: [key.partition(":")[2] for key in keys if key.startswith(f"{kind}:")] for kind in ("r", "rj", "rv")}
        found = [f"{kind}:{id}" for kind in ("rj", "rv") for id in of[kind] if id not in of["r"]]
        indexed = [each.partition("\0")[2] for key in keys if key.startswith("rx:") for each in self.members(key)]
        waiting = [each[15:] for key in keys if key.startswith("rq:") for each in self.members(key)]
        lent = [each for key in keys if key.startswith("ro:") for each in texts("SMEMBERS", prefix + key)]
        states = {id: ask("HGET", f"{prefix}r:{id}", "st").decode() for id in of["r"]}
        awake = [id for id, state in states.items() if state in ("running", "compensating")]
        over = [id for id, state in states.items() if state in ("succeeded", "failed", "cancelled")]
        tokens = texts("HVALS", prefix + "rt")
        lanes = texts("HVALS", prefix + "rl")
        checks = {
            "states": (sorted(indexed), sorted(states)),
            "waiting or lent": (sorted(waiting + lent), sorted(awake)),
            "to forget": (sorted(self.members("rf")), sorted(over)),
            "tokens": (sorted(set(tokens)), sorted(tokens)),
            "tokens of runs that are gone": (sorted(set(tokens) - set(states)), []),
            "lanes": (sorted(set(lanes) - set(states) | set(lanes) & set(over)), []),
        }
        return found + [f"{what}: {one}, {other}" for what, (one, other) in checks.items() if one != other]

    def members(self, key: str) -> list[str]:
        return [each.decode() for each in self.wire.ask("ZRANGE", self.settings.prefix + key, 0, -1)]


TestSameAsReference = pytest.mark.slow(SameAsReference.TestCase)
TestSameAsReference.settings = settings(
    max_examples=60, stateful_step_count=50, phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False
)
