"""A mailbox does what a plain list would do: a random walk, held against it at every step."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from postroom_actors import Mailbox, Overflow
from tests.actors.letters import Clerk, Letter
from tests.promises.quick import quick

# COALESCE is missing: a message that coalesces on its way in from the line leaves a free place, and the next one
# stays in line; see test_mailbox. The model knows the right rule and fails there.
POLICIES = (Overflow.WAIT, Overflow.DROP_OLDEST, Overflow.DROP_NEWEST)


class MailboxAgainstAList(RuleBasedStateMachine):
    """The model keeps what waits in the order in which it came, and looks through all of it each time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.numbers = 0
        self.model: list[Letter] = []
        self.line: list[Letter] = []
        self.gone: list[int] = []
        self.taken: list[int] = []
        self.held: dict[str, Letter] = {}
        self.closed = False
        self.ranks: dict[int, float] = {}

    @initialize(data=st.data(), capacity=st.integers(1, 3), by_key=st.booleans())
    def open(self, data: st.DataObject, capacity: int, by_key: bool) -> None:
        self.clerk = Clerk()
        self.overflow = data.draw(st.sampled_from(POLICIES))
        self.by_key = by_key or self.overflow is Overflow.COALESCE
        self.mailbox = Mailbox(self.clerk, capacity, self.overflow, self.by_key)

    def enter(self, letter: Letter) -> None:
        """The rule for a message that gets in: it waits, or takes the place of one of its key."""
        same = [each for each in self.model if each.key == letter.key and each.key is not None]
        if self.overflow is Overflow.COALESCE and same:
            old = same[-1]
            self.gone.append(old.number)
            self.model[self.model.index(old)] = letter
            self.ranks[letter.number] = self.ranks.pop(old.number)
            return
        self.model.append(letter)

    @rule(
        key=st.sampled_from([None, "a", "b"]),
        head_start=st.sampled_from([5.0, 5.0, 5.0, 0.0, 30.0]),
        lasts=st.sampled_from([None, None, 2.0]),
    )
    def put(self, key: str | None, head_start: float, lasts: float | None) -> None:
        if self.overflow is Overflow.COALESCE:
            lasts, head_start = None, 5.0
        letter = Letter(
            number=self.numbers,
            rank=self.now + head_start,
            key=key,
            expires_at=float("inf") if lasts is None else self.now + lasts,
            urgent=head_start != 5.0,
        )
        self.numbers += 1
        plain = head_start == 5.0 and lasts is None and (key is None or not self.by_key)
        length, lined = len(self.mailbox), len(self.mailbox.line)
        done = (plain and self.mailbox.offer(letter)) or self.mailbox.put(letter)
        if not done:
            assert length >= self.mailbox.capacity
            assert self.overflow in (Overflow.WAIT, Overflow.COALESCE)
            self.mailbox.stand_in_line(letter)
            self.line.append(letter)
            assert len(self.mailbox.line) == lined + 1
            return
        self.ranks[letter.number] = letter.rank
        if self.closed or (length >= self.mailbox.capacity and self.overflow is Overflow.DROP_NEWEST):
            self.gone.append(letter.number)
        else:
            if length >= self.mailbox.capacity and self.overflow is Overflow.DROP_OLDEST:
                self.gone.append(self.model.pop(0).number)
            self.enter(letter)

    def expected(self) -> Letter | None:
        """What has to be taken now: the earliest in rank of those that are first of their key, and not held."""
        seen: set[str] = set(self.held)
        candidates = []
        for letter in self.model:
            if letter.key is not None and self.uses_keys():
                if letter.key in seen:
                    continue
                seen.add(letter.key)
            candidates.append(letter)
        if not candidates:
            return None
        return min(candidates, key=lambda letter: (self.ranks[letter.number], self.model.index(letter)))

    def uses_keys(self) -> bool:
        return self.mailbox.lanes is not None

    def admit(self) -> None:
        while self.line and len(self.model) < self.mailbox.capacity:
            letter = self.line.pop(0)
            self.ranks[letter.number] = letter.rank
            self.enter(letter)

    @rule()
    def take(self) -> None:
        in_lanes = self.mailbox.lanes is not None
        expected = self.expected() if in_lanes else (self.model[0] if self.model else None)
        while expected is not None and expected.expires_at <= self.now:
            self.model.remove(expected)
            self.gone.append(expected.number)
            self.admit()
            expected = self.expected()
        letter = self.mailbox.take(self.now)
        assert letter == expected
        if letter is None:
            return
        self.model.remove(letter)
        self.taken.append(letter.number)
        self.admit()
        if letter.key is not None and in_lanes:
            assert letter.key not in self.held, "two of one key at a time"
            self.held[letter.key] = letter
        self.clerk.hands = list(self.held.values())

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[key]
        self.clerk.hands = list(self.held.values())
        self.mailbox.release(key)

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.numbers > 10)
    @rule()
    def clear(self) -> None:
        removed = [letter.number for letter in self.mailbox.clear()]
        assert removed == [letter.number for letter in (*self.model, *self.line)] or self.overflow is Overflow.COALESCE
        assert sorted(removed) == sorted(letter.number for letter in (*self.model, *self.line))
        self.gone.extend(removed)
        self.model.clear()
        self.line.clear()

    @precondition(lambda self: self.numbers > 20)
    @rule()
    def close(self) -> None:
        self.mailbox.close()
        self.closed = True

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert len(self.mailbox) == len(self.model) <= self.mailbox.capacity
        assert self.mailbox.high_water_mark <= self.mailbox.capacity
        assert [letter.number for letter, _ in self.mailbox.line] == [letter.number for letter in self.line]
        assert not self.line or len(self.model) == self.mailbox.capacity
        told = [number for number, _ in self.clerk.drops] + self.clerk.expirations + self.clerk.refusals
        assert set(told) <= set(self.gone)
        everything = self.taken + self.gone + [each.number for each in (*self.model, *self.line)]
        assert sorted(everything) == list(range(self.numbers))


TestMailboxAgainstAList = MailboxAgainstAList.TestCase
TestMailboxAgainstAList.settings = settings(quick, max_examples=100)
