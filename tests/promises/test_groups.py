"""Groups: whatever a program stages, releases and clears, each event goes out once in its order, or not at all.

Random programs run beside the plainest account of what is staged and what went out.
"""

from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom import ConflictingEvent, Event, GroupCleared, GroupClosed, Receipt, Runtime, StagedReceipt, Succeeded
from postroom.deduplication import WINDOW
from postroom.staging import TIME_TO_LIVE
from tests.promises.quick import LIBRARIES, Library, quick, run

GROUPS = ("g", "h")
NAMES = ("a", "b", "c")
IDS = (None, None, None, "one", "two")


@attrs.frozen
class Emit:
    """Emit an event, into a group or past them; `data` tells apart what has the same id."""

    name: str
    id: str | None
    data: int
    group: str | None


@attrs.frozen
class Release:
    group: str


@attrs.frozen
class Clear:
    group: str
    names: tuple[str, ...] | None


@attrs.frozen
class Block:
    """A block of a group of its own, or of one that has an id; with an error at its end, and a pause in it."""

    id: str | None
    emits: tuple[Emit, ...]
    fails: bool
    pause: float


@attrs.frozen
class Sleep:
    seconds: float


Command = Emit | Release | Clear | Block | Sleep

groups = st.sampled_from(GROUPS)
emits = st.builds(Emit, st.sampled_from(NAMES), st.sampled_from(IDS), st.integers(0, 1), groups | st.none())
commands: st.SearchStrategy[Command] = st.one_of(
    emits,
    emits,
    st.builds(Release, groups),
    st.builds(Clear, groups, st.none() | st.lists(st.sampled_from(NAMES), max_size=2).map(tuple)),
    st.builds(
        Block,
        st.none() | groups,
        st.lists(emits, max_size=3).map(tuple),
        st.booleans(),
        st.sampled_from([0.0, 0.0, 250.0, 700.0]),
    ),
    st.builds(Sleep, st.sampled_from([1.0, 250.0, 400.0])),
)


@attrs.define(eq=False)
class Account:
    """What is to be: the events staged in each group with the time of its first one, and what has gone out."""

    runtime: Runtime
    heard: list[Any] = attrs.field(factory=list)
    staged: dict[str, list[tuple[Emit, Receipt]]] = attrs.field(factory=dict)
    since: dict[str, float] = attrs.field(factory=dict)
    out: list[Emit] = attrs.field(factory=list)
    accepted: dict[str, tuple[Emit, float]] = attrs.field(factory=dict)
    gone_out: list[Receipt] = attrs.field(factory=list)
    dropped: list[Receipt] = attrs.field(factory=list)

    async def hear(self, event: Event) -> None:
        self.heard.append((event.name, event.data))

    def expire(self) -> None:
        for id in [id for id in self.staged if anyio.current_time() - self.since[id] >= TIME_TO_LIVE]:
            self.drop(id)

    def drop(self, id: str, names: tuple[str, ...] | None = None) -> None:
        kept = [(emit, r) for emit, r in self.staged.get(id, ()) if names is not None and emit.name not in names]
        self.dropped += [r for emit, r in self.staged.pop(id, ()) if (emit, r) not in kept]
        if kept:
            self.staged[id] = kept

    def release(self, id: str) -> None:
        for emit, receipt in self.staged.pop(id, ()):
            self.accept(emit, receipt)

    def known(self, id: str | None) -> Emit | None:
        """What was accepted under this id, as long as that is remembered."""
        emit, since = self.accepted.get(id or "", (None, 0.0))
        return emit if anyio.current_time() - since < WINDOW else None

    def accept(self, emit: Emit, receipt: Receipt) -> None:
        self.gone_out.append(receipt)
        if self.known(emit.id) is None:
            self.out.append(emit)
            if emit.id is not None:
                self.accepted[emit.id] = emit, anyio.current_time()

    def conflicts(self, emit: Emit) -> bool:
        """Whether the id stands for another event, accepted or staged anywhere."""
        known = [self.known(emit.id), *(e for pairs in self.staged.values() for e, _ in pairs)]
        return emit.id is not None and any(
            other is not None and other.id == emit.id and (other.name, other.data) != (emit.name, emit.data)
            for other in known
        )

    async def emit(self, emit: Emit, group: str | None) -> None:
        call = self.runtime.emit(emit.name, emit.data, id=emit.id, group=group)
        if self.conflicts(emit):
            with pytest.raises(ConflictingEvent):
                await call
            return
        receipt = await call
        again = emit.id is not None and any(e.id == emit.id for e, _ in self.staged.get(group or "", ()))
        if group is None:
            self.accept(emit, receipt)
        elif self.known(emit.id) is None and not again:
            assert isinstance(receipt, StagedReceipt)
            if group not in self.staged:
                self.since[group] = anyio.current_time()
            self.staged.setdefault(group, []).append((emit, receipt))

    async def block(self, block: Block) -> None:
        """Run one; what expires in it makes its end fail."""
        group = self.runtime.group(block.id)
        expires = False
        try:
            async with group:
                for emit in block.emits:
                    await self.emit(emit, group.id)
                await anyio.sleep(block.pause)
                expires = group.id in self.staged and self.since[group.id] + TIME_TO_LIVE <= anyio.current_time()
                self.expire()
                if block.fails:
                    raise KeyError
        except KeyError:
            assert block.fails
            self.drop(group.id)
        except GroupClosed:
            assert expires
        else:
            assert not expires
            assert not block.fails
            self.release(group.id)

    async def do(self, command: Command) -> None:
        match command:
            case Emit(group=group):
                await self.emit(command, group)
            case Release(group=group):
                count = len(self.staged.get(group, ()))
                assert len(await self.runtime.release_group(group)) == count
                self.release(group)
            case Clear(group=group, names=names):
                before = len(self.dropped)
                count = await self.runtime.clear_group(group, names)
                self.drop(group, names)
                assert len(self.dropped) - before == count
            case Block():
                await self.block(command)
            case Sleep(seconds=seconds):
                await anyio.sleep(seconds)
                self.expire()

    async def check(self) -> None:
        await self.runtime.idle()
        stats = self.runtime.stats
        assert self.heard == [(emit.name, emit.data) for emit in self.out]
        assert stats.staged == sum(map(len, self.staged.values()))
        assert stats.accepted == stats.deliveries == stats.succeeded == len(self.out)
        assert all(not receipt.settled for pairs in self.staged.values() for _, receipt in pairs)
        for receipt in self.gone_out:
            assert [type(outcome) for outcome in (await receipt).outcomes] == [Succeeded]
        await self.check_dropped()

    async def check_dropped(self) -> None:
        for receipt in self.dropped:
            with pytest.raises(GroupCleared):
                await receipt


@pytest.mark.parametrize("library", LIBRARIES)
@given(program=st.lists(commands, max_size=25))
@settings(quick, max_examples=150)
def test_each_staged_event_goes_out_once_and_in_order_or_not_at_all(library: Library, program: list[Command]) -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            account = Account(runtime)
            await runtime.spawn(account.hear, "**")
            for command in program:
                await account.do(command)
                await account.check()
        left = [receipt for pairs in account.staged.values() for _, receipt in pairs]
        account.dropped += left
        await account.check_dropped()
        assert not runtime._deduplication._staged

    run(library, main)
