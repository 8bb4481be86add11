"""The model: what has to come of a program, in the plainest words. It knows no event module, no time and no tasks."""

from typing import Any, Final

import attrs

from .commands import (
    SUBSCRIPTIONS,
    Block,
    Clear,
    Command,
    Discard,
    Emit,
    EmitMany,
    Heal,
    Item,
    Pause,
    Program,
    Release,
    Replay,
    Resume,
    Stage,
)

HEAD_STARTS: Final = {"critical": 0, "default": 5, "lowest": 300}
TARGETS: Final = {"order": ("ledger", "mail"), "user": ("mail",), "stock": ("mail", "shelf")}
ROOM: Final = 2


@attrs.frozen
class Due:
    """A delivery that waits for its subscription; `label` names its receipt, `number` is its place in the line."""

    label: str
    item: Item
    number: int

    @property
    def place(self) -> tuple[int, int]:
        return (HEAD_STARTS[self.item.priority], self.number)


@attrs.define
class Model:
    """What is so after the commands so far.

    Attributes:
        outcomes: How each delivery ended: by receipt, and by subscription in it.
        in_order: What each subscription has begun, by key; without one, without the repeated attempts.
        waiting: What each one will handle once it is resumed.
        letters: The dead letters, with their items.
        cleared: The receipts of what was staged and dropped.
    """

    program: Program
    outcomes: dict[str, dict[str, str]] = attrs.field(factory=dict)
    in_order: dict[tuple[str, str | None], list[str]] = attrs.field(factory=dict)
    waiting: dict[str, list[Due]] = attrs.field(factory=lambda: {name: [] for name in SUBSCRIPTIONS})
    late: dict[str, list[str]] = attrs.field(factory=lambda: {name: [] for name in SUBSCRIPTIONS})
    letters: dict[tuple[str, str], Item] = attrs.field(factory=dict)
    cleared: set[str] = attrs.field(factory=set)
    staged: dict[str, list[tuple[str, Item]]] = attrs.field(factory=dict)
    paused: set[str] = attrs.field(factory=set)
    ids: dict[str, Item] = attrs.field(factory=dict)
    healed: bool = False
    count: int = 0

    def prepare(self, command: Command) -> list[tuple[str, Item]]:
        """The events of a command as they are emitted: without what has no certain effect, each with its label."""
        match command:
            case Emit(item):
                return self.labelled([self.fit(item)])
            case EmitMany(items) | Block(items):
                return self.labelled([self.fit(item) for item in items])
            case Stage(group, item):
                staged = [self.fit(item) for item in [attrs.evolve(item, time="now")]]
                has_stock = any(other.name == "stock.low" for _, other in self.staged.get(group, []))
                return [] if has_stock and item.name == "stock.low" else self.labelled(staged)
        return []

    def labelled(self, items: list[Item]) -> list[tuple[str, Item]]:
        """Who is served at once takes one at a time; how much room there is for several, depends."""
        found: list[tuple[str, Item]] = []
        stock = 0
        for item in items:
            stock += item.name == "stock.low"
            if item.name != "stock.low" or stock == 1 or "shelf" in self.paused:
                self.count += 1
                found.append((item.id or f"e{self.count}", item))
        return found

    def fit(self, item: Item) -> Item:
        """The item without what has no certain effect now: a time that some could still keep, and some could not."""
        targets = TARGETS[item.name.partition(".")[0]]
        paused = [name for name in targets if name in self.paused]
        if item.time == "expires" and len(paused) < len(targets):
            return attrs.evolve(item, time="now")
        if item.time == "soon" and paused:
            return attrs.evolve(item, time="late")
        return attrs.evolve(item, key=None) if item.time in ("soon", "late") else item

    def emit(self, items: list[tuple[str, Item]]) -> str:
        """Emit all or none; returns what the emitter hears."""
        if self.conflicts(items):
            return "conflict"
        now, soon = [[each for each in items if (each[1].time == "soon") is later] for later in (False, True)]
        for together in (now, soon):
            self._deliver_all(together)
            self.run_all()  # by the time of those that come soon, which is the same, all others are handled
        return "accepted"

    def _deliver_all(self, items: list[tuple[str, Item]]) -> None:
        for label, item in items:
            self.outcomes.setdefault(label, {})
            if item.id is None or item.id not in self.ids:
                for name in TARGETS[item.name.partition(".")[0]]:
                    self.deliver(name, label, item)
                if item.id is not None:
                    self.ids[item.id] = item

    def conflicts(self, items: list[tuple[str, Item]]) -> bool:
        """Whether one has an id that stands for another one."""
        ids = dict(self.ids)
        return any(item.id is not None and ids.setdefault(item.id, item) != item for _, item in items)

    def deliver(self, name: str, label: str, item: Item) -> None:
        self.count += 1
        if item.time == "late":
            self.late[name].append(label)
            return
        waiting = self.waiting[name]
        if name == "shelf" and name in self.paused:
            same = [due for due in waiting if due.item.key == item.key]
            overflow, full = self.program.overflow, len(waiting) >= ROOM
            if overflow == "drop_newest" and full:
                self.outcomes[label][name] = "dropped"
                return
            for gone in waiting[:1] if overflow == "drop_oldest" and full else same if overflow == "coalesce" else []:
                waiting.remove(gone)
                self.outcomes[gone.label][name] = "dropped"
        waiting.append(Due(label, item, self.count))

    def run_all(self) -> None:
        for name in SUBSCRIPTIONS:
            self.run(name)

    def run(self, name: str) -> None:
        """Handle what waits, unless it is paused: without keys by priority, within a key in order."""
        if name in self.paused:
            return
        for due in sorted(self.waiting[name], key=lambda due: due.place if due.item.key is None else (0, due.number)):
            self.outcomes[due.label][name] = self.handle(name, due)
        self.waiting[name] = []

    def handle(self, name: str, due: Due) -> str:
        item = due.item
        if item.time == "expires":
            return "expired"
        begun = self.in_order.setdefault((name, item.key), [])
        begun.append(due.label)
        fails = item.does == "fail" or (item.does == "heal" and not self.healed)
        if item.key is not None and (fails or item.does == "second"):
            begun.append(due.label)
        if fails:
            self.letters[name, due.label] = item
            return f"failed after 2: {item.does}"
        return f"succeeded after {2 if item.does == 'second' else 1}: {name}"

    def step(self, command: Command, items: list[tuple[str, Item]]) -> Any:
        """Do one command; `items` are those of it, fitted and labelled."""
        match command:
            case Emit() | EmitMany():
                return self.emit(items)
            case Block(raises=False):
                return self.emit(items)
            case Block():
                if self.conflicts(items):
                    return "conflict"
                self.cleared |= {label for label, item in items if item.id is None}
                return "raised"
            case Stage():
                self.staged.setdefault(command.group, []).extend(items)
                return "accepted"
            case Release():
                staged = self.staged.pop(command.group, [])
                self.emit(staged)
                return len(staged)
            case Clear():
                staged = self.staged.pop(command.group, [])
                gone = [each for each in staged if command.name in (None, each[1].name)]
                self.staged[command.group] = [each for each in staged if each not in gone]
                self.cleared |= {label for label, _ in gone}
                return len(gone)
            case Pause():
                self.paused.add(command.subscription)
            case Resume():
                self.paused.discard(command.subscription)
                self.run(command.subscription)
            case Heal():
                self.healed = True
            case Replay() if self.letters:
                name, label = sorted(self.letters)[command.at % len(self.letters)]
                if name in self.paused:
                    return "not now"
                item = self.letters[name, label]
                del self.letters[name, label]
                again = f"{label}'"
                self.outcomes[again] = {}
                self.deliver(name, again, attrs.evolve(item, time="now"))
                self.run(name)
                return (name, label)
            case Discard() if self.letters:
                name, label = sorted(self.letters)[command.at % len(self.letters)]
                del self.letters[name, label]
                return (name, label)
        return None
