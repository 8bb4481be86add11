"""Promise 6's graph: an alarm for each circle that nobody can leave, and no other."""

from collections.abc import Iterator
from itertools import pairwise, permutations
from typing import Any, Final, Literal, NoReturn

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from postroom_actors import Actor, Circle, Hand, Mailbox, Need, Owner, Step, TimeSlice, Wait, find_circle

NOTHING: Final[Any] = None  # in place of what only a running loop needs


def actor(name: str, concurrency: int = 1) -> Actor[str]:
    """An actor whose hands are at work, without a loop that runs them."""
    made = Actor[str](name, Mailbox[str](Owner(), 1), NOTHING, concurrency)
    for _ in range(concurrency):
        new_hand(made)
    return made


def new_hand(owner: Actor[str]) -> Hand[str]:
    hand = Hand(owner, NOTHING, TimeSlice(), NOTHING, scope=NOTHING)
    hand.message = "in hand"
    owner.hands.append(hand)
    return hand


def hand_of(owner: Actor[str]) -> Hand[str]:
    (hand,) = owner.hands
    return hand


def needing(label: str, *needs: Need, every: bool = True) -> Wait:
    return Wait("test", label, lambda: needs, every)


def room_in(owner: Actor[str]) -> Wait:
    return needing(f"room in {owner.name}", owner)


def chain(length: int) -> list[Hand[str]]:
    """Hands of which each but the last waits for the next one's actor."""
    actors = [actor(str(number)) for number in range(length)]
    for before, after in pairwise(actors):
        hand_of(before).wait = room_in(after)
    return [hand_of(one) for one in actors]


# Hands and what they wait for


def test_scenario_19_a_hand_that_waits_for_its_own_actor_is_a_circle_of_one() -> None:
    a = actor("a")
    circle = find_circle(hand_of(a), room_in(a))
    assert circle == Circle((Step("a", "room in a"),))
    assert str(circle) == "a -(room in a)-> a"


def test_scenario_20_two_actors_that_wait_for_each_other_are_a_circle() -> None:
    a, b = actor("a"), actor("b")
    hand_of(b).wait = room_in(a)
    assert str(find_circle(hand_of(a), room_in(b))) == "a -(room in b)-> b -(room in a)-> a"


def test_scenario_21_a_hand_that_waits_for_the_message_it_has_in_hand_is_a_circle() -> None:
    a = actor("a")
    assert str(find_circle(hand_of(a), needing("receipt of x", hand_of(a)))) == "a -(receipt of x)-> a"


def test_a_circle_of_three_starts_with_the_hand_that_closes_it() -> None:
    a, b, c = actor("a"), actor("b"), actor("c")
    hand_of(b).wait = room_in(c)
    hand_of(c).wait = room_in(a)
    assert str(find_circle(hand_of(a), room_in(b))) == "a -(room in b)-> b -(room in c)-> c -(room in a)-> a"


def test_a_chain_that_ends_at_work_is_no_circle() -> None:
    a, b, c = actor("a"), actor("b"), actor("c")
    hand_of(b).wait = room_in(c)
    assert find_circle(hand_of(a), room_in(b)) is None


def test_an_idle_hand_can_move() -> None:
    a, b = actor("a"), actor("b", concurrency=2)
    idle, waiting = b.hands
    idle.message = None
    waiting.wait = room_in(a)
    assert find_circle(hand_of(a), room_in(b)) is None


def test_an_actor_can_move_while_one_of_its_hands_is_at_work() -> None:
    a, b = actor("a"), actor("b", concurrency=2)
    b.hands[0].wait = room_in(a)
    assert find_circle(hand_of(a), room_in(b)) is None


def test_an_actor_can_move_while_another_hand_waits_for_one_that_can() -> None:
    a, b, c = actor("a"), actor("b", concurrency=2), actor("c")
    b.hands[0].wait = room_in(a)
    b.hands[1].wait = room_in(c)
    assert find_circle(hand_of(a), room_in(b)) is None


def test_an_actor_is_stuck_once_all_its_hands_are() -> None:
    a, b = actor("a"), actor("b", concurrency=2)
    b.hands[0].wait = room_in(a)
    b.hands[1].wait = room_in(b)
    assert str(find_circle(hand_of(a), room_in(b))) == "a -(room in b)-> b -(room in a)-> a"


def test_one_actors_hands_can_close_a_circle_among_themselves() -> None:
    a = actor("a", concurrency=2)
    first, second = a.hands
    second.wait = needing("receipt of x", first)
    assert str(find_circle(first, needing("receipt of y", second))) == "a -(receipt of y)-> a -(receipt of x)-> a"


def test_a_message_in_a_stuck_hand_is_stuck_though_its_actor_can_move() -> None:
    a, b = actor("a"), actor("b", concurrency=2)
    b.hands[0].wait = room_in(a)
    assert find_circle(hand_of(a), needing("receipt of x", b)) is None
    assert find_circle(hand_of(a), needing("receipt of x", b.hands[1])) is None
    assert find_circle(hand_of(a), needing("receipt of x", b.hands[0])) is not None


# Several needs


def test_a_knot_with_a_way_out_is_no_circle() -> None:
    a, b, c, d = actor("a"), actor("b"), actor("c"), actor("d")
    hand_of(b).wait = room_in(a)
    hand_of(c).wait = needing("lane", (hand_of(a), hand_of(b), hand_of(d)))
    assert find_circle(hand_of(a), needing("lane", (hand_of(b), hand_of(c)))) is None


def test_a_knot_without_a_way_out_is_a_circle() -> None:
    a, b, c, d = actor("a"), actor("b"), actor("c"), actor("d")
    hand_of(b).wait = room_in(a)
    hand_of(c).wait = needing("lane", (hand_of(a), hand_of(b), hand_of(d)))
    hand_of(d).wait = room_in(b)
    assert str(find_circle(hand_of(a), needing("lane", (hand_of(c), hand_of(b))))) == "a -(lane)-> c -(lane)-> a"


def test_a_wait_for_all_is_stuck_if_one_is_and_the_path_goes_there() -> None:
    a, b, c, d = actor("a"), actor("b"), actor("c"), actor("d")
    hand_of(b).wait = room_in(d)
    hand_of(c).wait = room_in(a)
    wait = needing("receipts", b, c)
    assert str(find_circle(hand_of(a), wait)) == "a -(receipts)-> c -(room in a)-> a"


def test_a_wait_for_all_that_can_move_is_no_circle() -> None:
    a, b, c, d = actor("a"), actor("b"), actor("c"), actor("d")
    hand_of(b).wait = room_in(d)
    hand_of(c).wait = needing("receipts", b, d, b)
    assert find_circle(hand_of(a), needing("receipts", b, c, d)) is None


def test_a_wait_for_any_is_no_circle_while_one_can_move() -> None:
    a, b, c = actor("a"), actor("b"), actor("c")
    hand_of(b).wait = room_in(a)
    assert find_circle(hand_of(a), needing("first answer", b, c, every=False)) is None


def test_a_wait_for_any_is_a_circle_once_none_can_move() -> None:
    a, b, c = actor("a"), actor("b"), actor("c")
    hand_of(b).wait = room_in(c)
    hand_of(c).wait = room_in(a)
    wait = needing("first answer", b, c, every=False)
    assert str(find_circle(hand_of(a), wait)) == "a -(first answer)-> c -(room in a)-> a"


def test_a_need_of_nobody_is_met() -> None:
    a, ended = actor("a"), actor("ended", concurrency=0)
    assert find_circle(hand_of(a), needing("actor without hands", ended)) is None
    assert find_circle(hand_of(a), needing("empty lane", ())) is None
    assert find_circle(hand_of(a), needing("all of none")) is None
    assert find_circle(hand_of(a), needing("any of none", every=False)) is None


# Paths


def test_the_path_is_a_shortest_one() -> None:
    a, b, c, d = actor("a"), actor("b"), actor("c"), actor("d")
    hand_of(b).wait = room_in(c)
    hand_of(c).wait = needing("room in d and a", d, a)
    hand_of(d).wait = room_in(a)
    wait = needing("room in b and c", b, c)
    assert str(find_circle(hand_of(a), wait)) == "a -(room in b and c)-> c -(room in d and a)-> a"


def test_the_path_passes_by_what_can_move() -> None:
    a, b, c, d, e = actor("a"), actor("b"), actor("c"), actor("d"), actor("e")
    hand_of(b).wait = needing("first answer", a, c, every=False)
    hand_of(c).wait = room_in(actor("at work"))
    hand_of(d).wait = room_in(e)
    hand_of(e).wait = room_in(a)
    circle = find_circle(hand_of(a), needing("room in b and d", b, d))
    assert str(circle) == "a -(room in b and d)-> d -(room in e)-> e -(room in a)-> a"


def test_a_hand_that_would_join_a_closed_circle_is_shown_the_way_to_it() -> None:
    a, b, c, d = actor("a"), actor("b"), actor("c"), actor("d")
    hand_of(b).wait = room_in(c)
    hand_of(c).wait = room_in(d)
    hand_of(d).wait = room_in(c)
    circle = find_circle(hand_of(a), room_in(b))
    assert str(circle) == "a -(room in b)-> b -(room in c)-> c -(room in d)-> d -(room in c)-> c"
    assert circle is not None
    assert circle.closes_at == 2


def test_the_way_to_a_closed_circle_is_a_shortest_one_past_what_can_move() -> None:
    a, b, c, d, detour, e = actor("a"), actor("b"), actor("c"), actor("d"), actor("detour"), actor("e", concurrency=2)
    for hand in e.hands:
        hand.wait = room_in(actor("at work"))
    hand_of(b).wait = needing("room in e and c", e, c)
    hand_of(c).wait = room_in(d)
    hand_of(d).wait = room_in(b)
    hand_of(detour).wait = room_in(b)
    circle = find_circle(hand_of(a), needing("all", e, detour, d))
    assert str(circle) == "a -(all)-> d -(room in b)-> b -(room in e and c)-> c -(room in d)-> d"


def test_a_closed_circle_that_cannot_be_reached_is_nobodys_business() -> None:
    a, b, c = actor("a"), actor("b"), actor("c")
    hand_of(c).wait = room_in(c)
    assert find_circle(hand_of(a), room_in(b)) is None


def test_a_closed_circle_is_no_alarm_for_a_wait_that_can_do_without_it() -> None:
    a, b, c = actor("a"), actor("b"), actor("c")
    hand_of(c).wait = room_in(c)
    hand_of(b).wait = needing("first answer", c, (hand_of(b), hand_of(c)), actor("d"), every=False)
    assert find_circle(hand_of(a), room_in(b)) is None


# The question itself


def test_asking_changes_nothing() -> None:
    a, b = actor("a"), actor("b")
    kept = hand_of(b).wait = room_in(a)
    assert find_circle(hand_of(a), room_in(b)) is not None
    assert hand_of(a).wait is None
    assert hand_of(b).wait is kept


def test_the_wait_asked_about_stands_in_place_of_the_hands_own() -> None:
    a, b = actor("a"), actor("b")
    hand_of(a).wait = room_in(a)
    assert find_circle(hand_of(a), room_in(b)) is None


def test_only_what_can_be_reached_is_asked_and_only_once() -> None:
    asked: list[str] = []

    def noted(label: str, *needs: Need) -> Wait:
        def tell() -> Iterator[Need]:
            asked.append(label)
            yield from needs

        return Wait("test", label, tell)

    a, b, c, elsewhere = actor("a"), actor("b", concurrency=2), actor("c"), actor("elsewhere")
    b.hands[0].wait = noted("b0", c, b)
    b.hands[1].wait = noted("b1", c, (hand_of(c),), a)
    hand_of(c).wait = noted("c", b, a)
    hand_of(elsewhere).wait = noted("elsewhere", a, b, c)
    assert find_circle(hand_of(a), noted("a", b, c)) is not None
    assert sorted(asked) == ["a", "b0", "b1", "c"]


def test_hands_behind_a_need_that_is_met_are_not_asked() -> None:
    def refuse() -> NoReturn:
        pytest.fail("was asked")

    a, b = actor("a"), actor("b", concurrency=2)
    b.hands[0].wait = Wait("test", "never asked", refuse)
    assert find_circle(hand_of(a), room_in(b)) is None
    assert find_circle(hand_of(a), needing("first answer", b.hands[0], b.hands[1], every=False)) is None


def test_a_long_chain_is_no_circle_until_it_is_closed() -> None:
    hands = chain(5_000)
    last = hands[-1]
    assert find_circle(last, room_in(actor("beyond"))) is None
    circle = find_circle(last, room_in(hands[0].actor))
    assert circle is not None
    assert [step.actor for step in circle.steps] == ["4999", *map(str, range(4_999))]


def test_a_long_chain_that_can_move_is_reduced_to_its_end() -> None:
    hands = chain(5_000)
    assert find_circle(hands[0], room_in(hands[1].actor)) is None


def test_many_hands_that_wait_for_one_busy_actor_look_at_it_once() -> None:
    looked_at: list[Hand[str]] = []

    @attrs.define(eq=False)
    class Watched(Actor[str]):
        @property
        def hands(self) -> list[Hand[str]]:
            looked_at.extend(self._hands)
            return self._hands

    crowd, source = actor("crowd", concurrency=300), actor("source")
    busy = Watched("busy", Mailbox[str](Owner(), 1), NOTHING)
    for _ in range(300):
        new_hand(busy).wait = room_in(source)
    for hand in crowd.hands:
        hand.wait = room_in(busy)
    looked_at.clear()
    assert find_circle(hand_of(source), needing("crowd", crowd)) is not None
    assert len(looked_at) == 300


# Random graphs of up to six hands, beside an exhaustive search of all that may happen

MOST_HANDS = 6


@attrs.frozen
class PlannedNeed:
    """A need of an actor, of one hand, or of one among several hands: by their numbers."""

    of: Literal["actor", "hand", "lane"]
    numbers: tuple[int, ...]


@attrs.frozen
class PlannedHand:
    """A hand of the actor of this number; it waits, is at work, or is idle."""

    actor: int
    does: Literal["wait", "work", "nothing"]
    needs: tuple[PlannedNeed, ...]
    every: bool


@attrs.frozen
class Plan:
    """Hands, of which the first closes the graph. Numbers too large stand for smaller ones."""

    hands: tuple[PlannedHand, ...]

    def members(self, need: PlannedNeed) -> set[int]:
        """The hands of which any one meets the need."""
        numbers = {number % len(self.hands) for number in need.numbers}
        if need.of != "actor":
            return numbers
        return {number for number, hand in enumerate(self.hands) if hand.actor % len(self.hands) in numbers}

    def may_finish(self, number: int, finished: frozenset[int]) -> bool:
        """Whether this hand may be the next to finish: finished and idle ones are free, and meet needs."""
        hand = self.hands[number]
        if hand.does != "wait" or not hand.needs:
            return True
        free = {*finished, *(other for other, one in enumerate(self.hands) if one.does == "nothing")}
        met = [not members or bool(members & free) for members in map(self.members, hand.needs)]
        return all(met) if hand.every else any(met)

    def hands_that_can_finish(self) -> set[int]:
        """Those that some sequence of moves lets finish: every sequence is tried."""
        seen = {frozenset[int]()}
        untried = [frozenset[int]()]
        while untried:
            finished = untried.pop()
            for number in range(len(self.hands)):
                after = finished | {number}
                if after not in seen and self.may_finish(number, finished):
                    seen.add(after)
                    untried.append(after)
        return set().union(*seen)

    def ask(self) -> Circle | None:
        """Build the hands and ask whether the first may wait; labels are the numbers of the hands."""
        actors = [actor(str(number), concurrency=0) for number in range(len(self.hands))]
        hands = [new_hand(actors[hand.actor % len(actors)]) for hand in self.hands]
        waits = [
            needing(str(number), *(self.real(need, actors, hands) for need in hand.needs), every=hand.every)
            for number, hand in enumerate(self.hands)
        ]
        for number, hand in enumerate(self.hands[1:], 1):
            hands[number].wait = waits[number] if hand.does == "wait" else None
            hands[number].message = None if hand.does == "nothing" else "in hand"
        return find_circle(hands[0], waits[0])

    def real(self, need: PlannedNeed, actors: list[Actor[str]], hands: list[Hand[str]]) -> Need:
        numbers = [number % len(hands) for number in need.numbers]
        match need.of:
            case "actor":
                return actors[numbers[0]]
            case "hand":
                return hands[numbers[0]]
            case "lane":
                return tuple(hands[number] for number in numbers)

    def blocks(self, waiting: int, other: int) -> bool:
        """Whether `other`, stuck, is in the way of `waiting`, also stuck: a need of it that nobody can meet."""
        can_finish = self.hands_that_can_finish()
        unmet = [members for members in map(self.members, self.hands[waiting].needs) if not members & can_finish]
        return any(other in members for members in unmet)

    def is_way(self, numbers: tuple[int, ...]) -> bool:
        return all(self.blocks(before, after) for before, after in pairwise(numbers))

    def shortest_circle_through_the_first(self) -> int | None:
        """Its length; every path through hands that are stuck is tried."""
        stuck = set(range(1, len(self.hands))) - self.hands_that_can_finish()
        circles = (
            length + 1
            for length in range(len(stuck) + 1)
            for between in permutations(stuck, length)
            if self.is_way((0, *between, 0))
        )
        return next(circles, None)


NUMBERS = st.integers(0, MOST_HANDS - 1)
NEEDS = st.one_of(
    st.builds(PlannedNeed, st.sampled_from(["actor", "hand"]), st.tuples(NUMBERS)),
    st.builds(PlannedNeed, st.just("lane"), st.lists(NUMBERS, max_size=3).map(tuple)),
)


def planned_hands(*does: Literal["wait", "work", "nothing"], needs: int) -> st.SearchStrategy[PlannedHand]:
    some_needs = st.lists(NEEDS, min_size=needs, max_size=3).map(tuple)
    return st.builds(PlannedHand, NUMBERS, st.sampled_from(does), some_needs, st.booleans())


def plans(
    closing: st.SearchStrategy[PlannedHand], others: st.SearchStrategy[PlannedHand], fewest: int
) -> st.SearchStrategy[Plan]:
    hands = st.tuples(closing, st.lists(others, min_size=fewest - 1, max_size=MOST_HANDS - 1))
    return st.builds(lambda parts: Plan((parts[0], *parts[1])), hands)


MIXED = plans(
    planned_hands("wait", needs=0), planned_hands("wait", "wait", "wait", "wait", "work", "nothing", needs=0), 1
)
CROWDED = plans(planned_hands("wait", needs=1), planned_hands("wait", needs=1), 4)


@pytest.mark.slow
@settings(max_examples=1_200, deadline=None)
@given(MIXED)
def test_there_is_an_alarm_if_and_only_if_no_sequence_of_moves_lets_the_hand_finish(plan: Plan) -> None:
    assert (plan.ask() is not None) == (0 not in plan.hands_that_can_finish())


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(CROWDED)
def test_where_every_hand_waits_there_is_an_alarm_if_and_only_if_no_sequence_lets_it_finish(plan: Plan) -> None:
    assert (plan.ask() is not None) == (0 not in plan.hands_that_can_finish())


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(CROWDED)
def test_every_path_leads_through_stuck_hands_back_to_where_it_says_and_none_is_shorter(plan: Plan) -> None:
    circle = plan.ask()
    assume(circle is not None)
    assert circle is not None
    numbers = tuple(int(step.label) for step in circle.steps)
    assert numbers[0] == 0
    assert len(set(numbers)) == len(numbers)
    assert plan.is_way((*numbers, numbers[circle.closes_at]))
    assert plan.shortest_circle_through_the_first() == (None if circle.closes_at else len(numbers))
