"""How many deliveries are asked for, by a table of what came; nothing here waits."""

from postroom.carrying.appetite import SOON, Appetite


def fetch(appetite: Appetite, there: int, now: float) -> int:
    """One fetch where so many wait, all of which are settled at once; returns how many were asked for."""
    asked = appetite.demand()
    came = min(asked, there)
    appetite.came(asked, came, now)
    appetite.gone(came)
    return asked


def expected(appetite: Appetite) -> None:
    appetite.hungry = True


def test_who_gets_one_event_at_a_time_asks_once_for_each() -> None:
    appetite = Appetite(1, 256)
    fetches = 0
    for number in range(20):
        expected(appetite)
        there = 1
        while appetite.demand():
            there -= fetch(appetite, there, number * SOON / 10) and there
            fetches += 1
    assert fetches < 30


def test_who_is_quick_gets_a_large_window_and_who_is_slow_gets_a_small_one() -> None:
    appetite = Appetite(1, 256)
    for number in range(20):
        fetch(appetite, 1000, number * SOON / 1000)
    assert appetite.window > 16
    for number in range(20):
        fetch(appetite, 1000, 100 + number * SOON * 1000)
    assert appetite.window == 1
