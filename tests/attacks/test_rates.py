"""A rate holds attempts back, and never for good."""

from typing import Any, cast

import attrs

from postroom import Rate
from postroom.pacing import RateAtWork
from postroom_actors import Mailbox, Owner, Port


@attrs.define(eq=False)
class Loop:
    """What a rate asks of an event loop and of timers, told by hand."""

    time: float = 0.0
    alarms: list[float] = attrs.field(factory=list)

    def now(self) -> float:
        return self.time

    def set(self, due: float, message: Any) -> None:
        self.alarms.append(due)


def test_an_attempt_that_begins_at_the_very_moment_of_the_alarm_leaves_the_next_one_its_turn() -> None:
    loop = Loop()
    mailbox: Mailbox[str] = Mailbox(Owner(), 10)
    rate = RateAtWork(Rate(1, per=8), mailbox, cast(Port, loop), loop)
    mailbox.add_gate(rate)
    for message in ("first", "second", "third"):
        mailbox.put(message)
    assert mailbox.take(0.0) == "first"
    assert loop.alarms == [8]
    loop.time = 8
    assert mailbox.take(8.0) == "second"  # the worker is sooner than the alarm
    rate.look()
    assert not mailbox.has_mail
    assert loop.alarms == [8, 16]
    loop.time = 16
    rate.look()
    assert mailbox.take(16.0) == "third"
