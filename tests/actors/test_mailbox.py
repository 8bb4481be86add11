"""Mailboxes: room, order, the line in front, and what each overflow policy does."""

import anyio
import attrs
import pytest

from postroom_actors import Admission, Mailbox, Overflow, Shut, current_port
from postroom_actors.mailbox import NEWEST, OLDEST, REPLACED
from tests.actors.letters import Clerk, Letter


def take_all(mailbox: Mailbox[Letter], now: float = 0.0) -> list[int]:
    """The numbers of all that can be taken, each finished before the next."""
    numbers = []
    while (letter := mailbox.take(now)) is not None:
        numbers.append(letter.number)
        if letter.key is not None:
            mailbox.release(letter.key)
    return numbers


def letters(count: int) -> list[Letter]:
    return [Letter(number=number) for number in range(count)]


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_mailbox_without_room_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        Mailbox(Clerk(), capacity)


def test_what_is_offered_first_is_taken_first() -> None:
    mailbox = Mailbox(Clerk(), 3)
    assert [mailbox.offer(letter) for letter in letters(4)] == [True, True, True, False]
    assert len(mailbox) == 3
    assert take_all(mailbox) == [0, 1, 2]
    assert mailbox.high_water_mark == 3
    assert not mailbox.has_mail


def test_who_finds_it_full_stands_in_line_and_gets_in_as_places_fall_free() -> None:
    mailbox = Mailbox(Clerk(), 2)
    assert [mailbox.put(letter) for letter in letters(2)] == [True, True]
    third, fourth = Letter(number=2), Letter(number=3)
    assert not mailbox.put(third)
    mailbox.stand_in_line(third)
    mailbox.stand_in_line(fourth)
    assert (len(mailbox), len(mailbox.line)) == (2, 2)
    assert mailbox.take(0.0) == Letter(number=0)
    assert (len(mailbox), len(mailbox.line)) == (2, 1)
    assert take_all(mailbox) == [1, 2, 3]
    assert mailbox.high_water_mark == 2


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"),
    [
        (Overflow.DROP_OLDEST, [3, 4], [(0, OLDEST), (1, OLDEST), (2, OLDEST)]),
        (Overflow.DROP_NEWEST, [0, 1], [(2, NEWEST), (3, NEWEST), (4, NEWEST)]),
    ],
)
def test_a_policy_that_drops_keeps_to_the_capacity(
    overflow: Overflow, kept: list[int], dropped: list[tuple[int, str]]
) -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 2, overflow)
    assert all(mailbox.put(letter) for letter in letters(5))
    assert take_all(mailbox) == kept
    assert clerk.drops == dropped


def test_dropping_the_oldest_finds_it_wherever_it_stands_in_the_lanes() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 2, Overflow.DROP_OLDEST)
    mailbox.put(Letter(number=0, rank=300, urgent=True))
    mailbox.put(Letter(number=1, rank=1, urgent=True))
    mailbox.put(Letter(number=2, rank=2, urgent=True))
    assert clerk.drops == [(0, OLDEST)]
    assert take_all(mailbox) == [1, 2]


def test_what_is_handed_back_takes_up_no_room_and_is_not_dropped_for_what_comes() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 1, Overflow.DROP_OLDEST)
    mailbox.put(Letter(number=0, key="k"))
    taken = mailbox.take(0.0)
    assert taken is not None
    mailbox.put(Letter(number=1, rank=1, key="k"))
    mailbox.hand_back(taken)
    assert len(mailbox) == 1
    mailbox.put(Letter(number=2, rank=2, key="k"))
    assert [number for number, _ in clerk.drops] == [1]
    assert mailbox.high_water_mark == 1
    assert mailbox.take(0.0) == taken
    assert mailbox.take(0.0) is None, "of a key one at a time"
    mailbox.release("k")
    assert take_all(mailbox) == [2]


def test_coalescing_lets_the_newest_of_a_key_take_the_place_of_the_one_that_waits() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 2, Overflow.COALESCE, by_key=True)
    assert mailbox.put(Letter(number=0, key="a"))
    assert mailbox.put(Letter(number=1, rank=1, key="b"))
    assert mailbox.put(Letter(number=2, rank=2, key="a"))
    assert clerk.drops == [(0, REPLACED)]
    assert not mailbox.put(Letter(number=3, rank=3, key="c"))
    assert not mailbox.put(Letter(number=4, rank=4))
    assert take_all(mailbox) == [2, 1]


def test_coalescing_leaves_the_one_in_hand_alone() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 2, Overflow.COALESCE, by_key=True)
    mailbox.put(Letter(number=0, key="a"))
    assert mailbox.take(0.0) == Letter(number=0, key="a")
    mailbox.put(Letter(number=1, key="a"))
    mailbox.put(Letter(number=2, key="a"))
    assert clerk.drops == [(1, REPLACED)]
    assert mailbox.take(0.0) is None
    mailbox.release("a")
    assert take_all(mailbox) == [2]


def test_what_coalesces_on_its_way_in_leaves_the_place_to_the_next_in_line() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 2, Overflow.COALESCE, by_key=True)
    mailbox.put(Letter(number=0, key="a"))
    mailbox.put(Letter(number=1, rank=1, key="b"))
    mailbox.stand_in_line(Letter(number=2, rank=2, key="b"))
    mailbox.stand_in_line(Letter(number=3, rank=3, key="c"))
    assert mailbox.take(0.0) == Letter(number=0, key="a")
    assert clerk.drops == [(1, REPLACED)]
    assert (len(mailbox), len(mailbox.line)) == (2, 0)


@pytest.mark.parametrize(
    ("overflow", "key", "waits"),
    [
        (Overflow.WAIT, None, True),
        (Overflow.DROP_OLDEST, None, False),
        (Overflow.DROP_NEWEST, None, False),
        (Overflow.COALESCE, None, True),
        (Overflow.COALESCE, "new", True),
        (Overflow.COALESCE, "waiting", False),
    ],
)
def test_whether_a_message_would_wait_depends_on_the_policy(overflow: Overflow, key: str | None, waits: bool) -> None:
    mailbox = Mailbox(Clerk(), 1, overflow, by_key=True)
    assert not mailbox.would_wait(key)
    mailbox.put(Letter(number=0, key="waiting"))
    assert mailbox.would_wait(key) is waits
    mailbox.close()
    assert not mailbox.would_wait(key)


def test_a_head_start_overtakes_and_equal_ones_keep_their_order() -> None:
    mailbox = Mailbox(Clerk(), 5)
    mailbox.offer(Letter(number=0, rank=5))
    mailbox.put(Letter(number=1, rank=301, urgent=True))
    mailbox.put(Letter(number=2, rank=2, urgent=True))
    mailbox.put(Letter(number=3, rank=2, urgent=True))
    mailbox.put(Letter(number=4, rank=302))
    assert take_all(mailbox) == [2, 3, 0, 1, 4]


def test_a_plain_order_is_kept_in_the_plain_queue_and_lanes_go_when_they_are_empty() -> None:
    mailbox = Mailbox(Clerk(), 5)
    mailbox.offer(Letter(number=0))
    assert mailbox.lanes is None
    mailbox.put(Letter(number=1, urgent=True))
    assert mailbox.lanes is not None
    assert mailbox.room == 0
    assert not mailbox.offer(Letter(number=2))
    assert take_all(mailbox) == [0, 1]
    assert mailbox.lanes is None
    assert mailbox.room == 5


def test_of_a_key_one_is_taken_at_a_time_and_others_pass_by() -> None:
    mailbox = Mailbox(Clerk(), 5, by_key=True)
    for number, key in enumerate(["a", "a", "b", None]):
        mailbox.put(Letter(number=number, rank=number, key=key))
    taken = [mailbox.take(0.0) for _ in range(4)]
    assert [letter.number for letter in taken if letter] == [0, 2, 3]
    assert not mailbox.has_mail
    assert len(mailbox) == 1
    mailbox.release("b")
    assert not mailbox.has_mail
    mailbox.release("a")
    assert take_all(mailbox) == [1]
    assert mailbox.lanes is None


def test_within_a_key_order_beats_priority() -> None:
    mailbox = Mailbox(Clerk(), 5, by_key=True)
    mailbox.put(Letter(number=0, rank=9, key="a"))
    mailbox.put(Letter(number=1, rank=1, key="a", urgent=True))
    assert take_all(mailbox) == [0, 1]


def test_a_key_that_is_in_hand_when_lanes_are_set_up_is_held() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 5, by_key=True)
    clerk.hands = [Letter(number=0, key="a")]
    mailbox.put(Letter(number=1, key="a"))
    assert not mailbox.has_mail
    clerk.hands = []
    mailbox.release("a")
    assert take_all(mailbox) == [1]


def test_what_is_put_back_comes_before_the_rest_of_its_key() -> None:
    mailbox = Mailbox(Clerk(), 3)
    first = Letter(number=0, rank=0, key="a")
    mailbox.offer(first)
    mailbox.offer(Letter(number=1, rank=1, key="a"))
    mailbox.offer(Letter(number=2, rank=2, key="b"))
    assert mailbox.take(0.0) is first
    mailbox.hold("a")
    taken = mailbox.take(0.0)
    assert taken == Letter(number=2, rank=2, key="b")
    assert not mailbox.has_mail
    mailbox.put_back(first)
    assert take_all(mailbox) == [0, 1]


def test_what_is_put_back_without_a_key_has_lost_its_place() -> None:
    mailbox = Mailbox(Clerk(), 2)
    first, second, third = letters(3)
    mailbox.offer(first)
    assert mailbox.take(0.0) is first
    mailbox.offer(second)
    mailbox.offer(third)
    mailbox.put_back(attrs.evolve(first, rank=3))
    assert (len(mailbox), len(mailbox.line)) == (2, 0)  # it needs no room
    assert take_all(mailbox) == [1, 2, 0]


def test_what_expires_is_told_of_when_its_turn_comes_and_frees_its_key() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 3, by_key=True)
    mailbox.put(Letter(number=0, rank=0, key="a", expires_at=5))
    mailbox.put(Letter(number=1, rank=1, key="a"))
    mailbox.put(Letter(number=2, rank=2, expires_at=5.1))
    mailbox.stand_in_line(Letter(number=3, rank=3))
    assert take_all(mailbox, now=5.0) == [1, 2, 3]
    assert clerk.expirations == [0]


def test_a_closed_mailbox_refuses_and_keeps_what_it_has() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 3)
    mailbox.offer(Letter(number=0))
    mailbox.close()
    assert not mailbox.offer(Letter(number=1))
    assert mailbox.put(Letter(number=1))
    mailbox.put_back(Letter(number=2))
    assert clerk.refusals == [1, 2]
    assert take_all(mailbox) == [0]


def test_a_mailbox_that_was_closed_in_lanes_stays_closed() -> None:
    mailbox = Mailbox(Clerk(), 3)
    mailbox.put(Letter(number=0, urgent=True))
    mailbox.close()
    assert take_all(mailbox) == [0]
    assert mailbox.lanes is None
    assert mailbox.room == 0


def test_clearing_returns_everything_oldest_first_the_line_included() -> None:
    mailbox = Mailbox(Clerk(), 2)
    mailbox.put(Letter(number=0, rank=9, urgent=True))
    mailbox.put(Letter(number=1, rank=1, urgent=True))
    mailbox.stand_in_line(Letter(number=2))
    assert [letter.number for letter in mailbox.clear()] == [0, 1, 2]
    assert (len(mailbox), len(mailbox.line), mailbox.lanes) == (0, 0, None)
    assert mailbox.offer(Letter(number=3))


def test_clearing_keeps_the_keys_that_are_held() -> None:
    mailbox = Mailbox(Clerk(), 3, by_key=True)
    mailbox.put(Letter(number=0, key="a"))
    mailbox.put(Letter(number=1, key="a"))
    mailbox.take(0.0)
    assert [letter.number for letter in mailbox.clear()] == [1]
    mailbox.put(Letter(number=2, key="a"))
    assert not mailbox.has_mail
    mailbox.release("a")
    assert take_all(mailbox) == [2]


def test_a_hand_is_woken_once_for_what_it_can_take() -> None:
    mailbox = Mailbox(Clerk(), 3, by_key=True)
    woken: list[int] = []

    def wake() -> None:
        woken.append(len(mailbox))
        mailbox.idle_hands -= 1

    mailbox.ready = wake
    mailbox.put(Letter(number=0, key="a"))
    mailbox.take(0.0)
    mailbox.idle_hands = 1
    mailbox.put(Letter(number=1, key="a"))
    assert woken == []
    mailbox.release("a")
    assert woken == [1]
    mailbox.put(Letter(number=2))
    assert woken == [1]


async def test_a_writer_goes_on_when_the_last_of_its_messages_got_in() -> None:
    mailbox = Mailbox(Clerk(), 1)
    mailbox.offer(Letter(number=0))
    admission = Admission(current_port())
    mailbox.stand_in_line(Letter(number=1), admission)
    mailbox.stand_in_line(Letter(number=2), admission)
    passed = anyio.Event()

    async def writer() -> None:
        await admission.wait()
        passed.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer)
        await anyio.wait_all_tasks_blocked()
        mailbox.take(0.0)
        await anyio.wait_all_tasks_blocked()
        assert not passed.is_set()
        mailbox.take(0.0)
        await passed.wait()
    assert take_all(mailbox) == [2]


async def test_messages_of_a_writer_that_went_away_stay_in_line_up_to_the_capacity() -> None:
    clerk = Clerk()
    mailbox = Mailbox(clerk, 2)
    admissions = []
    for number in range(2):
        mailbox.offer(Letter(number=number))
    for number in range(2, 7):
        admission = Admission(current_port())
        mailbox.stand_in_line(Letter(number=number), admission)
        admissions.append(admission)
    for admission in admissions[:3]:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await admission.wait()
    assert [number for number, _ in clerk.drops] == [4]
    assert mailbox.abandoned == 2
    assert take_all(mailbox) == [0, 1, 2, 3, 5, 6]
    assert mailbox.abandoned == 0


async def test_clearing_lets_the_writers_in_line_go_on() -> None:
    mailbox = Mailbox(Clerk(), 1)
    mailbox.offer(Letter(number=0))
    admission = Admission(current_port())
    mailbox.stand_in_line(Letter(number=1), admission)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(admission.wait)
        await anyio.wait_all_tasks_blocked()
        mailbox.clear()
    assert admission.waiting == 0


async def test_of_two_that_wait_for_one_admission_the_last_to_go_abandons_it() -> None:
    mailbox = Mailbox(Clerk(), 1)
    mailbox.offer(Letter(number=0))
    admission = Admission(current_port())
    mailbox.stand_in_line(Letter(number=1), admission)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(admission.wait)
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await admission.wait()
        assert not admission.abandoned
        tasks.cancel_scope.cancel()
    assert admission.abandoned
    assert mailbox.abandoned == 1


def test_what_is_handed_back_after_the_close_is_refused() -> None:
    mailbox = Mailbox(clerk := Clerk(), 2)
    mailbox.put(Letter(number=0))
    letter = mailbox.take(0.0)
    assert letter is not None
    mailbox.close()
    mailbox.hand_back(letter)
    assert clerk.refusals == [0]
    assert not mailbox.has_mail


def test_a_gate_that_does_not_stand_can_be_removed() -> None:
    mailbox = Mailbox(Clerk(), 2)
    standing = Shut()
    mailbox.add_gate(standing)
    mailbox.remove_gate(Shut())
    mailbox.put(Letter(number=0))
    assert not mailbox.has_mail
    mailbox.remove_gate(standing)
    assert mailbox.has_mail


def test_a_key_whose_messages_were_dropped_in_numbers_goes_on() -> None:
    mailbox = Mailbox(clerk := Clerk(), 3, Overflow.DROP_OLDEST)
    for number in range(100):
        mailbox.put(Letter(number=number, key=str(number % 3)))
    assert len(clerk.drops) == 97
    assert take_all(mailbox) == [97, 98, 99]
    assert mailbox.lanes is None
