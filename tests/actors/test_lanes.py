"""Lanes when much is removed out of turn: what waits behind it in its key comes, and nothing piles up."""

from postroom_actors.lanes import Lanes, Order


def test_what_was_removed_out_of_turn_frees_its_key_though_nobody_has_met_it() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.put("unkeyed", Order(0.0))
    for number in range(20):
        lanes.put(f"first of {number}", Order(1.0, key=str(number)))
    for number in range(20):
        lanes.put(f"second of {number}", Order(2.0, key=str(number)))
    assert lanes.take_oldest() == "unkeyed"
    assert [lanes.take_oldest() for _ in range(20)] == [f"first of {number}" for number in range(20)]
    assert [lanes.take_oldest() for _ in range(19)] == [f"second of {number}" for number in range(19)]
    entry = lanes.take()
    assert entry is not None
    assert entry.message == "second of 19"
    lanes.release("19")
    assert lanes.unused


def test_messages_of_one_key_that_are_removed_out_of_turn_leave_the_last_one_to_be_taken() -> None:
    lanes: Lanes[int] = Lanes()
    for number in range(100):
        lanes.put(number, Order(float(number), key=str(number % 40)))
    assert [lanes.take_oldest() for _ in range(99)] == list(range(99))
    entry = lanes.take()
    assert entry is not None
    assert entry.message == 99
    assert lanes.take() is None
