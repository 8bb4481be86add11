"""Runs a program on a runtime, beside the model, and compares after each command and at the end."""

import contextlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import attrs

from postroom import (
    ConflictingEvent,
    Context,
    Dropped,
    Event,
    Expired,
    Failed,
    GroupCleared,
    Local,
    Outcome,
    Receipt,
    Retry,
    Runtime,
    Subscriber,
    Succeeded,
    exponential,
    subscriber,
)
from postroom_actors import current_port

from .commands import (
    LATE,
    SOON,
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
from .model import Model

PATIENCE: Final = 10.0
"""Seconds in which what has to come comes, on a busy machine."""

VIRTUAL_PATIENCE: Final = 0.2


class Refused(Exception):
    """What the handlers raise, and what ends a block that raises."""


@attrs.define(eq=False)
class Run:
    """One program on one event module.

    Attributes:
        receipts: By label.
        in_order: As the model's.
    """

    program: Program
    module: Any
    model: Model = attrs.field(init=False)
    runtime: Runtime = attrs.field(init=False)
    receipts: dict[str, Receipt] = attrs.field(factory=dict)
    in_order: dict[tuple[str, str | None], list[str]] = attrs.field(factory=dict)
    healed: bool = False
    _open: set[str] = attrs.field(factory=set)
    _again: dict[tuple[str, str], int] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.model = Model(self.program)

    async def run(self) -> None:
        """Run it to the end.

        Raises:
            AssertionError: the module does something else than the model.
        """
        async with self._opened() as self.runtime:
            for command in (*self.program.commands, *map(Resume, SUBSCRIPTIONS)):
                items = self.model.prepare(command)
                expected = self.model.step(command, items)
                found = await self._do(command, items)
                assert found == expected, f"{command} of {items} answered {found!r}, and should have {expected!r}"
                await self._catch_up(command)
            await self._compare()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Runtime]:
        runtime = Runtime(
            module=self.module,
            subscribers=self._subscribers(),
            drain_within=0.0,
            watchdog=None,
            portable=isinstance(self.module, Local),
        )
        async with runtime:
            yield runtime

    def _subscribers(self) -> list[Subscriber[..., Any]]:
        retry = Retry(attempts=2, backoff=exponential(0.001, limit=0.001))
        shelf: dict[str, Any] = {"capacity": 2, "overflow": self.program.overflow}
        return [
            subscriber("order.*", name="ledger", retry=retry, quiet=True)(self._handle),
            subscriber("**", name="mail", retry=retry, quiet=True)(self._handle),
            subscriber("stock.low", name="shelf", retry=retry, quiet=True, **shelf)(self._handle),
        ]

    async def _handle(self, event: Event, context: Context) -> str:
        label, does = event.data["label"], event.data["does"]
        name = context.subscription
        label += "'" * self._again.get((name, label), 0)
        if event.key is not None or context.attempt == 1:
            self.in_order.setdefault((name, event.key), []).append(label)
        if does == "fail" or (does == "heal" and not self.healed) or (does == "second" and context.attempt == 1):
            raise Refused(does)
        return str(name)

    async def _do(self, command: Command, items: list[tuple[str, Item]]) -> Any:
        runtime = self.runtime
        match command:
            case Emit() | EmitMany():
                return await self._emit(command, items)
            case Block():
                return await self._block(command, items)
            case Stage():
                for label, item in items:
                    self._keep(label, await runtime.emit(*said(label, item), group=command.group, **options(item)))
                return "accepted"
            case Release():
                return len(await runtime.release_group(command.group))
            case Clear():
                return await runtime.clear_group(command.group, None if command.name is None else [command.name])
            case Pause():
                await runtime.subscriptions[command.subscription].pause()
            case Resume():
                await anyio.sleep(SOON * 1.5)  # what expires has expired
                await runtime.subscriptions[command.subscription].resume()
            case Heal():
                self.healed = True
            case Replay() | Discard():
                return await self._end_letter(command)
        return None

    async def _emit(self, command: Command, items: list[tuple[str, Item]]) -> str:
        with contextlib.suppress(ConflictingEvent):
            if isinstance(command, Emit):
                [(label, item)] = items
                self._keep(label, await self.runtime.emit(*said(label, item), **options(item)))
            else:
                receipts = await self.runtime.emit_many([event(*each) for each in items])
                for (label, _), receipt in zip(items, receipts, strict=True):
                    self._keep(label, receipt)
            return "accepted"
        return "conflict"

    async def _block(self, command: Block, items: list[tuple[str, Item]]) -> str:
        receipts: list[Receipt] = []
        try:
            async with self.runtime.group() as group:
                receipts = [await group.emit(*said(*each), **options(each[1])) for each in items]
                if command.raises:
                    raise Refused
        except ConflictingEvent:
            return "conflict"
        except Refused:
            pass
        for (label, item), receipt in zip(items, receipts, strict=True):
            if item.id is None or not command.raises:
                self._keep(label, receipt)
        return "raised" if command.raises else "accepted"

    async def _end_letter(self, command: Replay | Discard) -> Any:
        letters = sorted(await self._letters())
        if not letters:
            return None
        name, label, id = letters[command.at % len(letters)]
        if isinstance(command, Discard):
            await self.runtime.dead_letters.discard(id)
            return (name, label)
        if name in self.model.paused:  # a store lets it wait without its key and its priority
            return "not now"
        plain = label.rstrip("'")
        self._again[name, plain] = self._again.get((name, plain), 0) + 1
        self._keep(f"{label}'", await self.runtime.dead_letters.replay(id))
        return (name, label)

    async def _letters(self) -> list[tuple[str, str, str]]:
        listed = await self.runtime.dead_letters.list()
        return [(each.subscription, self._label(each.subscription, each.event), each.id) for each in listed]

    def _label(self, name: str, event: Event) -> str:
        label = str(event.data["label"])
        return label + "'" * self._again.get((name, label), 0)

    def _keep(self, label: str, receipt: Receipt) -> None:
        self.receipts[label] = receipt
        self._open.add(label)

    async def _catch_up(self, command: Command) -> None:
        """Wait until everything has settled that has to."""
        try:
            with anyio.fail_after(self._patience()):
                for label in list(self._open):
                    await self._wait_for(label)
        except TimeoutError:
            expected = {label: self.model.outcomes.get(label) for label in self._open}
            raise AssertionError(f"after {command}, this does not come about: {expected}") from None

    def _patience(self) -> float:
        return PATIENCE if current_port().stopwatch is time.perf_counter else VIRTUAL_PATIENCE

    async def _wait_for(self, label: str) -> None:
        receipt = self.receipts[label]
        if label in self.model.cleared:
            try:
                await receipt
            except GroupCleared:
                self._open.discard(label)
                return
            raise AssertionError(f"{label} was cleared, and accepted")
        while label in self.model.outcomes and not self._has_all(label):
            if len(self.model.outcomes[label]) == len(receipt.targets or ()):
                await receipt
            else:
                await anyio.sleep(0.0005)
        if label in self.model.outcomes and not receipt.pending:
            self._open.discard(label)

    def _has_all(self, label: str) -> bool:
        if self.receipts[label].staged:
            return False
        return self.model.outcomes[label].keys() <= {
            each.subscription for each in self.receipts[label].report().outcomes
        }

    async def _compare(self) -> None:
        """What there is in the end, beside what there has to be."""
        model = self.model
        await anyio.sleep(0.002)  # what should not come may come
        accepted = {
            label: each for label, each in self.receipts.items() if label not in model.cleared and not each.staged
        }
        found = {
            label: {each.subscription: text_of(each) for each in receipt.report().outcomes}
            for label, receipt in accepted.items()
        }
        assert found == model.outcomes, f"the outcomes are {found}, and should be {model.outcomes}"
        assert self.in_order == model.in_order, f"the order is {self.in_order}, and should be {model.in_order}"
        letters = sorted((name, label) for name, label, _ in await self._letters())
        assert letters == sorted(model.letters), f"dead are {letters}, and should be {sorted(model.letters)}"
        if not isinstance(self.module, Local):
            stored = await self.runtime.stored_subscriptions()
            left = {each.name: (each.waiting, each.lent, each.delayed, each.dead) for each in stored}
            dead = [name for name, _ in model.letters]
            wanted = {name: (0, 0, len(model.late[name]), dead.count(name)) for name in SUBSCRIPTIONS}
            assert left == wanted, f"in the store are {left}, and should be {wanted}"


def said(label: str, item: Item) -> tuple[str, Any]:
    """The name and the data of an event."""
    return item.name, {"label": label, "does": item.does}


def options(item: Item) -> Any:
    """How an item is emitted."""
    options: dict[str, Any] = {
        "key": item.key,
        "id": item.id,
        "priority": item.priority,
        "delay": {"soon": SOON, "late": LATE}.get(item.time),
        "expires_after": SOON if item.time == "expires" else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def event(label: str, item: Item) -> Event:
    """An item for `emit_many`."""
    name, data = said(label, item)
    return Event(name=name, data=data, **options(item))


def text_of(outcome: Outcome) -> str:
    """An outcome, as the model says it."""
    match outcome:
        case Succeeded(value=value, attempts=attempts):
            return f"succeeded after {attempts}: {value}"
        case Failed(exception=exception, attempts=attempts):
            what = str(exception).rpartition(" ")[2].strip("'\"")
            return f"failed after {attempts}: {what}"
        case Dropped():
            return "dropped"
        case Expired():
            return "expired"
    return repr(outcome)
