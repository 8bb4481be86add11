"""An event module of one's own: events in a file of JSON lines, for one process at a time.

Each call that changes something appends one line, which is there as a whole or not at all; what is in the file is
read again when the module opens. Writing blocks the event loop for as long as the disk takes.

Run: python -m examples.journal_module
Prints: ['order 1', 'order 2', 'order 3'], the first of which was accepted by a process that ended before it was handled
"""

import base64
import fcntl
import json
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.lowlevel
import attrs
import msgspec

from postroom import Capability, Event, Runtime, subscriber
from postroom.codec import encode_outcome
from postroom.contract import (
    Answer,
    Binding,
    Emit,
    Fetched,
    Letter,
    Loan,
    Notice,
    Published,
    Settlement,
    Step,
    StoredLetter,
    StoredSubscription,
    letter_id,
)  # fmt: skip
from postroom.errors import NoSubscriber
from postroom.outcomes import Cancelled
from postroom.solo import SoloStore, targets_of
from postroom.store_errors import StoreBroken

Record = dict[str, Any]
Change = tuple[str, str, Any]
"""A table, a key, and the new value; None takes it out."""


@attrs.define(eq=False)
class JournalModule:
    """Events in one file; `clock` tells seconds since the epoch."""

    path: Path
    clock: Callable[[], float] = time.time
    name: str = attrs.field(default="journal", init=False)
    capabilities: frozenset[Capability] = attrs.field(
        default=frozenset({Capability.DURABLE, Capability.DELAY, Capability.KEYS, Capability.RATES}), init=False
    )
    _file: IO[str] | None = attrs.field(default=None, init=False)

    @asynccontextmanager
    async def open(self, session: str) -> AsyncGenerator["JournalStore"]:
        """The one session: it reads the file, and gives back at its end what it was lent."""
        self._file = file = self.path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise StoreBroken(self.name, f"another process has {self.path} open", "End that one first.") from None
        store = JournalStore(self.name, session, file, self.clock)
        store.read()
        try:
            yield store
        finally:
            if not file.closed:
                with file:
                    store.give_back(lambda record: True, losses=0)

    def kill(self) -> None:
        """End the session as `kill -9` does, for tests: its lock is gone, and it writes nothing more."""
        if self._file is not None:
            self._file.close()


@attrs.define(eq=False)
class JournalStore(SoloStore):
    """The session: tables in memory, every change of which is a line of the file first."""

    session: str
    _file: IO[str]
    _clock: Callable[[], float]
    _number: int = attrs.field(default=0, init=False)
    _tables: dict[str, dict[str, Any]] = attrs.field(init=False)
    _served: set[str] = attrs.field(factory=set, init=False)

    def read(self) -> None:
        """Read the file, and take back what a process that was killed had been lent: that is a loss."""
        self._tables = {"bindings": {}, "deliveries": {}, "letters": {}, "paused": {}}
        self._file.seek(0)
        lines = self._file.read().split("\n")
        for line in lines[:-1]:  # what a crash has left half written has no end of line
            self._apply(*json.loads(line))
        if lines[-1]:
            self._file.truncate(sum(len(line.encode()) + 1 for line in lines[:-1]))
        self.give_back(lambda record: True, losses=1)

    def _apply(self, number: int, changes: Sequence[Change]) -> None:
        self._number = number
        for table, key, value in changes:
            self._tables[table][key] = value
            if value is None:
                del self._tables[table][key]

    def _commit(self, changes: Sequence[Change]) -> None:
        if self._file.closed:
            raise StoreBroken(self.module, "its file was closed", "Open another one.")
        self._file.write(json.dumps([self._number, changes]) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._apply(self._number, changes)

    def _next(self) -> int:
        self._number += 1
        return self._number

    @property
    def _bindings(self) -> list[Binding]:
        return [Binding(name, tuple(patterns)) for name, patterns in self._tables["bindings"].items()]

    def _own(self, name: str) -> Iterator[tuple[str, Record]]:
        """The deliveries of a subscription, by due time."""
        own = [(key, each) for key, each in self._tables["deliveries"].items() if each["subscription"] == name]
        return iter(sorted(own, key=lambda pair: (pair[1]["due"], int(pair[0]))))

    def give_back(self, condition: Callable[[Record], bool], losses: int) -> None:
        """Make what is lent, and meets a condition, available again."""
        lent = [(key, each) for key, each in self._tables["deliveries"].items() if each["token"] and condition(each)]
        changed = [("deliveries", key, each | {"token": 0, "losses": each["losses"] + losses}) for key, each in lent]
        if changed:
            self._commit(changed)
            self.tell(mail=True)

    async def bind(self, bindings: Sequence[Binding], *, serve: bool) -> None:
        await anyio.lowlevel.checkpoint()
        self._commit([("bindings", each.name, list(each.patterns)) for each in bindings])
        self._served.update(each.name for each in bindings if serve)
        self.tell(routes=True)

    async def leave(self, names: Collection[str]) -> None:
        await anyio.lowlevel.checkpoint()
        self._served.difference_update(names)
        self.tell(routes=True)

    async def publish(self, number: int, emits: Sequence[Emit]) -> list[Answer]:
        await anyio.lowlevel.checkpoint()
        return self.once(number, lambda: self._publish(emits))

    def _publish(self, emits: Sequence[Emit]) -> list[Answer]:
        now, changes, answers = self._clock(), list[Change](), list[Answer]()
        for events in emits:
            targets = [targets_of(event.name, self._bindings) for event in events]
            wrong = next((e for e, t in zip(events, targets, strict=True) if e.require and not t), None)
            if wrong is not None:
                answers.append(NoSubscriber(wrong.name))
                continue
            answers.append([Published(now, each) for each in targets])
            for event, names in zip(events, targets, strict=True):
                for name in names:
                    record = {
                        "subscription": name, "id": event.id, "body": base64.b64encode(event.body).decode(),
                        "key": event.key, "at": now, "due": now + event.delay, "not_before": 0.0,
                        "token": 0, "attempts": 0, "losses": 0,
                    }  # fmt: skip
                    changes.append(("deliveries", str(self._next()), record))
        self._commit(changes)
        self.tell(mail=True)
        return answers

    async def fetch(self, demand: Mapping[str, int]) -> Fetched:
        await anyio.lowlevel.checkpoint()
        now, loans, changes, dues = self._clock(), list[Loan](), list[Change](), list[float]()
        for name, count in demand.items():
            closed: set[str] = set()
            for key, each in self._own(name) if name not in self._tables["paused"] else ():
                due = max(each["due"], each["not_before"])
                if each["token"] or each["key"] in closed:
                    continue
                if due > now:
                    dues.append(due - now)
                    if each["due"] <= now and each["key"] is not None:  # it was begun: its key waits for it
                        closed.add(each["key"])
                elif count > 0:
                    count -= 1
                    token, body = self._next(), base64.b64decode(each["body"])
                    changes.append(("deliveries", key, each | {"token": token}))
                    counts = (each["attempts"], each["losses"])
                    loans.append(Loan(name, token, each["id"], body, each["at"], now - each["due"], *counts))
        if changes:
            self._commit(changes)
        return Fetched(loans, min(dues, default=None))

    async def settle(self, number: int, settlements: Sequence[Settlement]) -> list[bool]:
        await anyio.lowlevel.checkpoint()
        return self.once(number, lambda: self._settle(settlements), of="settle")

    def _settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        now, changes, taken = self._clock(), list[Change](), list[bool]()
        lent = {each["token"]: (key, each) for key, each in self._tables["deliveries"].items() if each["token"]}
        for step in settlements:
            key, record = lent.pop(step.token, ("", None))
            taken.append(record is not None)
            if record is None:
                continue
            kept = record | {"attempts": step.attempts, "not_before": now + step.wait}
            if step.step is Step.RETRYING:
                lent[step.token] = key, kept
            elif step.step is Step.RETURNED:
                kept["token"] = 0
                self.tell(mail=True)
            else:
                kept = None
                if step.letter is not None:
                    letter = {"time": now, "letter": msgspec.to_builtins(step.letter), "record": record}
                    changes.append(("letters", letter_id(step.token), letter))
            changes.append(("deliveries", key, kept))
        self._commit(changes)
        return taken

    async def reclaim(self, holding: Collection[int]) -> None:
        await anyio.lowlevel.checkpoint()
        self.give_back(lambda record: record["token"] not in holding, losses=0)

    async def letters(self, subscription: str | None, after: str | None, limit: int) -> list[StoredLetter]:
        await anyio.lowlevel.checkpoint()
        found: list[StoredLetter] = []
        for id, each in sorted(self._tables["letters"].items()):
            record = each["record"]
            if subscription in (None, record["subscription"]) and (after is None or id > after):
                body, letter = base64.b64decode(record["body"]), msgspec.convert(each["letter"], Letter)
                found.append(
                    StoredLetter(id, record["subscription"], record["id"], body, record["at"], letter, each["time"])
                )
        return found[:limit]

    async def replay(self, number: int, letter: str) -> Published | None:
        await anyio.lowlevel.checkpoint()
        return self.once(number, lambda: self._replay(letter))

    def _replay(self, letter: str) -> Published | None:
        record = self._tables["letters"].get(letter, {}).get("record")
        if record is None or record["subscription"] not in self._tables["bindings"]:
            return None
        again = record | {"due": self._clock(), "not_before": 0.0, "token": 0, "attempts": 0, "losses": 0}
        self._commit([("letters", letter, None), ("deliveries", str(self._next()), again)])
        self.tell(mail=True)
        return Published(record["at"], (record["subscription"],))

    async def discard(self, letters: Collection[str]) -> int:
        await anyio.lowlevel.checkpoint()
        known = self._tables["letters"].keys() & set(letters)
        self._commit([("letters", id, None) for id in known])
        return len(known)

    async def subscriptions(self) -> list[StoredSubscription]:
        await anyio.lowlevel.checkpoint()
        now, found = self._clock(), list[StoredSubscription]()
        for name, patterns in sorted(self._tables["bindings"].items()):
            own = [each for _, each in self._own(name)]
            lent = sum(each["token"] > 0 for each in own)
            delayed = sum(not each["token"] and max(each["due"], each["not_before"]) > now for each in own)
            dead = sum(each["record"]["subscription"] == name for each in self._tables["letters"].values())
            served = (self.session,) if name in self._served else ()
            counts = (len(own) - lent - delayed, delayed, lent, dead)
            found.append(StoredSubscription(name, tuple(patterns), *counts, served, name in self._tables["paused"]))
        return found

    async def pause(self, name: str, paused: bool) -> None:
        await anyio.lowlevel.checkpoint()
        if paused or name in self._tables["paused"]:
            self._commit([("paused", name, True if paused else None)])
        self.tell(mail=True, routes=True)

    async def remove(self, name: str) -> int:
        await anyio.lowlevel.checkpoint()
        if name in self._served or name not in self._tables["bindings"]:
            return 0
        own = list(self._own(name))
        gone: list[Change] = [("deliveries", key, None) for key, _ in own]
        self._commit([("bindings", name, None), *gone])
        outcome = encode_outcome(Cancelled(name, "its subscription was removed", 0, 0.0))
        self.tell(*(Notice(each["id"], name, outcome) for _, each in own), routes=True)
        return len(own)


async def main(path: Path | None = None) -> list[str]:
    """Emit in a process that ends at once, and handle in the next one."""
    handled: list[str] = []

    @subscriber("order.placed")
    async def ledger(event: Event) -> None:
        await anyio.sleep(0.01)
        handled.append(f"order {event.data}")

    with tempfile.TemporaryDirectory() as folder:
        file = path or Path(folder) / "events.jsonl"
        async with Runtime(module=JournalModule(file), subscribers=[ledger], drain_within=0) as runtime:
            await runtime.emit("order.placed", 1)
        async with Runtime(module=JournalModule(file), subscribers=[ledger]) as runtime:
            await runtime.emit("order.placed", 2)
            await runtime.emit("order.placed", 3)
            await runtime.idle()
    return handled


if __name__ == "__main__":
    print(anyio.run(main))
