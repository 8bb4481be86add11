"""Random programs for the promises that hold whatever a program does.

A program is a list of commands, run one after the other in virtual time. Handlers do what the event's data says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal
from unittest.mock import patch

import anyio
import anyio.lowlevel
import attrs
from hypothesis import strategies as st

from postroom import (
    Batch,
    Context,
    Event,
    MailboxFull,
    PostroomError,
    Receipt,
    Report,
    Retry,
    Runtime,
    RuntimeClosed,
    Subscription,
    UnknownSubscription,
    constant,
)
from postroom.dispatcher import Dispatcher
from postroom.options import EmitOptions
from postroom.subscriber import OverflowPolicy
from postroom_actors import Actor

NAMES: Final = ("a", "b", "a.x", "a.y", "b.x.y")
PATTERNS: Final = ("a", "b", "a.*", "*", "*.x", "a.**", "**", "b.*.y")
Action = Literal["ok", "slow", "raise", "group", "hang", "again", "cancel_itself", "shield"]
ACTIONS: Final[tuple[Action, ...]] = ("ok", "slow", "raise", "group", "hang", "again", "cancel_itself", "shield")


def matches(pattern: str, name: str) -> bool:
    """The rule for patterns, said in the plainest way."""
    wanted, given = pattern.split("."), name.split(".")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


@attrs.frozen
class Spawn:
    """Start a subscription, named by the count of those before it."""

    patterns: tuple[str, ...]
    capacity: int
    overflow: OverflowPolicy
    concurrency: int
    attempts: int
    timeout: float | None
    batch: Batch | None


@attrs.frozen
class Stop:
    """Stop one of the subscriptions, in a task of its own."""

    which: int
    drain: bool


@attrs.frozen
class Emit:
    """Emit in a task of its own, cancelled after some seconds."""

    name: str
    action: Action
    options: EmitOptions
    patience: float


@attrs.frozen
class EmitMany:
    """Emit several events at once, in a task of their own."""

    events: tuple[tuple[str, Action, str | None], ...]


@attrs.frozen
class EmitNowait:
    """Emit without waiting."""

    name: str
    action: Action
    key: str | None


@attrs.frozen
class Sleep:
    """Let time pass."""

    seconds: float


@attrs.frozen
class Replay:
    """Replay the oldest dead letter, in a task of its own."""


Command = Spawn | Stop | Emit | EmitMany | EmitNowait | Sleep | Replay

_times: Final = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0])
_actions: Final = st.sampled_from(ACTIONS)
_names: Final = st.sampled_from(NAMES)
_keys: Final = st.sampled_from([None, "k", "l"])


def _options() -> st.SearchStrategy[EmitOptions]:
    return st.fixed_dictionaries(  # type: ignore[return-value]  # it cannot know which TypedDict is meant
        {},
        optional={
            "key": _keys,
            "id": st.sampled_from(["one", "two", "three"]),
            "priority": st.sampled_from(["critical", "default", "lowest"]),
            "delay": _times,
            "expires_after": st.sampled_from([0.5, 1.0, 5.0]),
        },
    )


spawns: Final = st.builds(
    Spawn,
    patterns=st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple),
    capacity=st.integers(1, 3),
    overflow=st.sampled_from(["wait", "wait", "drop_oldest", "drop_newest", "coalesce"]),
    concurrency=st.integers(1, 3),
    attempts=st.integers(1, 3),
    timeout=st.sampled_from([None, 2.0]),
    batch=st.sampled_from([None, None, Batch(size=2), Batch(size=3, within=1)]),
)

commands: Final[st.SearchStrategy[Command]] = st.one_of(
    st.builds(Emit, _names, _actions, _options(), st.sampled_from([0.5, 2.0, 1000.0])),
    st.builds(Emit, _names, _actions, st.just(EmitOptions()), st.just(1000.0)),
    spawns,
    st.builds(Stop, st.integers(0, 5), st.booleans()),
    st.builds(EmitMany, st.lists(st.tuples(_names, _actions, _keys), max_size=4).map(tuple)),
    st.builds(EmitNowait, _names, _actions, _keys),
    st.builds(Sleep, _times),
    st.builds(Replay),
)

programs: Final = st.tuples(st.lists(spawns, max_size=3), st.lists(commands, min_size=5, max_size=40)).map(
    lambda parts: [*parts[0], *parts[1]]
)


@attrs.define(eq=False)
class World:
    """A runtime in which a program runs, beside the plainest account of what it has to do.

    Attributes:
        at_work: What each subscription that takes new events subscribes to.
        accepted: Each receipt, with the names of those who had to get its event.
    """

    runtime: Runtime
    tasks: Any
    at_work: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    accepted: list[tuple[Receipt, tuple[str, ...]]] = attrs.field(factory=list)
    by_id: dict[str, Receipt] = attrs.field(factory=dict)
    reports: list[tuple[Receipt, Report]] = attrs.field(factory=list)
    errors: list[AssertionError] = attrs.field(factory=list)
    waiting: int = 0
    spawned: int = 0

    async def run(self, program: list[Command]) -> None:
        """Run the whole program, and look at the account after every command."""
        for command in program:
            await self.do(command)
            self.check()

    async def do(self, command: Command) -> None:
        match command:
            case Spawn():
                await self.spawn(command)
            case Stop(which=which, drain=drain):
                subscription = self.runtime.subscriptions.get(f"s{which}")
                if subscription is not None:
                    self.tasks.start_soon(self.stop, subscription, drain)
                    await anyio.lowlevel.checkpoint()
            case Emit():
                self.tasks.start_soon(self.emit, command)
                await anyio.lowlevel.checkpoint()
            case EmitMany(events=events):
                self.tasks.start_soon(self.emit_many, [Event(name, action, key) for name, action, key in events])
                await anyio.lowlevel.checkpoint()
            case EmitNowait(name=name, action=action, key=key):
                try:
                    receipt = self.runtime.emit_nowait(name, action, key=key)
                except MailboxFull:
                    return
                self.await_report(receipt)
            case Sleep(seconds=seconds):
                await anyio.sleep(seconds)
            case Replay():
                self.tasks.start_soon(self.replay)
                await anyio.lowlevel.checkpoint()

    async def spawn(self, spawn: Spawn) -> None:
        name = f"s{self.spawned}"
        self.spawned += 1
        subscription = await self.runtime.spawn(
            self.handle_batch if spawn.batch else self.handle,
            *spawn.patterns,
            name=name,
            capacity=spawn.capacity,
            overflow=spawn.overflow,
            concurrency=spawn.concurrency,
            retry=Retry(attempts=spawn.attempts, backoff=constant(1)),
            timeout=spawn.timeout,
            batch=spawn.batch,
        )
        self.at_work[name] = subscription.patterns

    async def stop(self, subscription: Subscription, drain: bool) -> None:
        self.at_work.pop(subscription.name, None)
        await subscription.stop(drain=drain)

    async def emit(self, command: Emit) -> None:
        with anyio.move_on_after(command.patience):
            try:
                receipt = await self.runtime.emit(command.name, command.action, **command.options)
            except PostroomError:
                return
            self.await_report(receipt)

    async def emit_many(self, events: list[Event]) -> None:
        try:
            receipts = await self.runtime.emit_many(events)
        except RuntimeClosed:
            return
        for receipt in receipts:
            self.await_report(receipt)

    async def replay(self) -> None:
        letters = await self.runtime.dead_letters.list()
        if not letters:
            return
        try:
            self.await_report(await self.runtime.dead_letters.replay(letters[0]))
        except (RuntimeClosed, UnknownSubscription):
            return

    def await_report(self, receipt: Receipt) -> None:
        """Have a task wait for the report."""

        async def wait() -> None:
            self.reports.append((receipt, await receipt))
            self.waiting -= 1

        self.waiting += 1
        self.tasks.start_soon(wait)

    async def handle_batch(self, events: list[Event], context: Context) -> None:
        self.check_in_handler()
        for event in events:
            await self.act(event, context)

    async def handle(self, event: Event, context: Context) -> None:
        self.check_in_handler()
        await self.act(event, context)

    async def act(self, event: Event, context: Context) -> None:
        match event.data:
            case "slow":
                await anyio.sleep(1)
            case "raise":
                raise ValueError
            case "group":
                raise ExceptionGroup("both", [ValueError(), KeyError()])
            case "hang":
                await anyio.sleep_forever()
            case "cancel_itself":
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await anyio.sleep(1)
            case "shield":
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(3)
            case "again" if event.depth < 2:
                # Without waiting for room: handlers that wait for each other's mailboxes are another promise's.
                try:
                    self.runtime.emit_nowait("a.x" if event.name == "a" else "a", "again")
                except PostroomError:
                    return

    def check_in_handler(self) -> None:
        """`check`, where an error would be the handler's own and disappear."""
        try:
            self.check()
        except AssertionError as error:
            self.errors.append(error)
            raise

    def check(self) -> None:
        """Promise 1, at this moment: nothing is lost, nothing is doubled, and counters say what is so."""
        runtime = self.runtime
        stats = runtime.stats
        for receipt, targets in self.accepted:
            settled = [outcome.subscription for outcome in receipt.report().outcomes]
            assert len(set(settled)) == len(settled), "a delivery settled twice"
            assert set(settled) <= set(targets)
            assert len(settled) + receipt.pending == len(targets)
        assert stats.deliveries == sum(len(targets) for _, targets in self.accepted)
        assert stats.pending == sum(receipt.pending for receipt, _ in self.accepted)
        assert stats.pending == self.places(), "a delivery is nowhere, or in two places"
        for subscription in runtime.subscriptions.values():
            one = subscription.stats
            declared = subscription.subscriber
            assert one.waiting <= declared.capacity
            assert one.high_water_mark <= declared.capacity
            assert one.in_hand <= declared.concurrency * (declared.batch.size if declared.batch else 1)
            assert not one.in_line or one.waiting >= declared.capacity, "a line in front of free places"

    def places(self) -> int:
        """How many deliveries there are, counted where they are."""
        dispatcher = self.runtime._dispatcher
        behaviours = tuple(self.runtime._roster.behaviours.values())
        actors: list[Actor[Any]] = [dispatcher.actor, *(each.actor for each in behaviours)]
        found = sum(each.scheduled + each.scheduled_in_line for each in behaviours)
        for actor in actors:
            found += len(actor.mailbox.waiting()) + len(actor.mailbox.line) + len(actor.in_hand)
        return found

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note each acceptance, and hold the routing against the plain rule."""
        dispatch = Dispatcher.dispatch

        def noted(dispatcher: Dispatcher, event: Event, targets: tuple[Any, ...], *args: Any, **kwargs: Any) -> Receipt:
            names = tuple(target.name for target in targets)
            if event.id not in self.by_id:  # a replay goes to one subscription alone
                wanted = {n for n, patterns in self.at_work.items() if any(matches(p, event.name) for p in patterns)}
                assert set(names) == wanted
            receipt = dispatch(dispatcher, event, targets, *args, **kwargs)
            self.by_id.setdefault(event.id, receipt)
            self.accepted.append((receipt, names))
            return receipt

        with patch.object(Dispatcher, "dispatch", noted):
            yield


async def run_program(program: list[Command], *, drain_within: float = 10.0) -> World:
    """Run a program to the end of its runtime; returns what is left to look at."""
    runtime = Runtime(drain_within=drain_within, dead_letter_limit=20)
    world = World(runtime, None)
    with world.watch():
        async with anyio.create_task_group() as tasks:
            world.tasks = tasks
            async with runtime:
                await world.run(program)
        world.check()
    if world.errors:
        raise world.errors[0]
    return world
