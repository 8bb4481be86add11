"""Breakers and rates as they are declared, and the gates that they become before a mailbox.

Units: seconds, on the loop's clock.
"""

import enum
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import attrs

from postroom_actors import Hand, Mailbox, Port, Shut, current_hand

from .checks import count_of, seconds
from .retry import as_classes, check_classes, leaves_of

X = TypeVar("X")


@attrs.frozen(kw_only=True)
class Breaker:
    """Pauses a subscription whose dependency is down, and looks now and then whether it is back.

    What fails with one of `on` while it is paused costs no attempt: the event goes back to the front of the mailbox.

    Attributes:
        failures: So many attempts that fail with one of `on`, within `within` seconds, open the breaker.
        within: Seconds.
        probe_after: Seconds after which an open breaker lets one event through. Unless that fails with one of `on`,
            the breaker closes.
        on: Exceptions that say that the dependency is down; one of them in a group of exceptions does.

    Source: the circuit breaker of Nygard, *Release It!* (2007). This one keeps what it does not let through.
    """

    failures: int = attrs.field(default=5, validator=count_of("failures"))
    within: float = attrs.field(default=10.0, validator=seconds(above=True))
    probe_after: float = attrs.field(default=30.0, validator=seconds(above=True))
    on: tuple[type[BaseException], ...] = attrs.field(
        default=(ConnectionError,), converter=as_classes, validator=check_classes
    )


@attrs.frozen
class Rate:
    """How many attempts a subscription may begin, on average, over all its processes.

    On a store, the store meters what it lends: then the rate counts from there, and holds for all processes together.

    Attributes:
        attempts: So many in each `per` seconds.
        per: Seconds.
        burst: So many at once, after a time in which there were fewer.

    Source: the token bucket, as the generic cell rate algorithm (ITU-T I.371) computes it.
    """

    attempts: int = attrs.field(validator=count_of("attempts"))
    per: float = attrs.field(default=1.0, kw_only=True, validator=seconds(above=True))
    burst: int = attrs.field(default=1, kw_only=True, validator=count_of("attempts"))


class BreakerState(enum.Enum):
    """Whether a breaker lets events through."""

    CLOSED = "closed"
    """All of them."""
    OPEN = "open"
    """None."""
    PROBING = "probing"
    """One, to see whether the dependency is back."""


class Alarms(Protocol):
    """What sets alarms."""

    def set(self, due: float, message: Any) -> object: ...


@attrs.define(eq=False)
class _Probe:
    """A gate for one message."""

    _taker: Hand[Any] | None = None

    @property
    def held_by(self) -> Hand[Any] | None:
        """Who tries it. Nobody does any more who was interrupted, or found that what it took has expired in its hand
        or can't be read: then the next one is the probe."""
        taker = self._taker
        return None if taker is None or taker.message is None else taker

    def is_open(self) -> bool:
        return self.held_by is None

    def passed(self) -> None:
        self._taker = current_hand()


@attrs.define(eq=False)
class BreakerAtWork:
    """The breaker of one subscription.

    Attributes:
        state: Whether it lets events through.
    """

    policy: Breaker
    _mailbox: Mailbox[Any]
    _port: Port
    _alarms: Alarms
    _tell: Callable[[str, str], None]
    state: BreakerState = attrs.field(default=BreakerState.CLOSED, init=False)
    _gate: Shut | _Probe | None = attrs.field(default=None, init=False, repr=False)
    _times: deque[float] = attrs.field(factory=deque, init=False, repr=False)
    _period: int = attrs.field(default=0, init=False)  # counts states, so that no old attempt is taken for the probe
    _excused: BaseException | None = attrs.field(default=None, init=False, repr=False)

    def around(self, call: Callable[[X], Awaitable[object]]) -> Callable[[X], Awaitable[object]]:
        """`call`, watched by this breaker."""

        async def attempt(hand: X) -> object:
            period = self._period
            self._excused = None
            try:
                result = await call(hand)
            except Exception as error:
                if isinstance(error, self.policy.on) or any(
                    isinstance(each, self.policy.on) for each in leaves_of(error)
                ):
                    self._is_down(error, period)
                else:
                    self._answers(period)
                raise
            self._answers(period)
            return result

        return attempt

    def excuses(self, error: BaseException) -> bool:
        """Whether the attempt that has just raised `error` costs nothing: it was made while the breaker was open."""
        return self._excused is error

    def look(self) -> None:
        """The alarm: it is time for a probe."""
        assert self.state is BreakerState.OPEN, "set as it opens, and nothing else ends that"
        self._enter(BreakerState.PROBING, _Probe())

    def _is_probe(self, period: int) -> bool:
        return self.state is BreakerState.PROBING and period == self._period

    def _answers(self, period: int) -> None:
        """The dependency has answered, whatever it said."""
        if self._is_probe(period):
            self._times.clear()
            self._enter(BreakerState.CLOSED, None)
            self._tell("closed", "")

    def _is_down(self, error: BaseException, period: int) -> None:
        if self.state is BreakerState.CLOSED:
            now = self._port.now()
            self._times.append(now)
            while self._times[0] < now - self.policy.within:
                self._times.popleft()
            if len(self._times) >= self.policy.failures:
                self._open(error)
            return
        self._excused = error
        if self._is_probe(period):
            self._open(error)

    def _open(self, error: BaseException) -> None:
        self._enter(BreakerState.OPEN, Shut())
        self._alarms.set(self._port.now() + self.policy.probe_after, self)
        self._tell("open", f"{type(error).__name__}; a probe in {self.policy.probe_after:g} s")

    def _enter(self, state: BreakerState, gate: Shut | _Probe | None) -> None:
        self.state = state
        self._period += 1
        before, self._gate = self._gate, gate
        if gate is not None:
            self._mailbox.add_gate(gate)
        if before is not None:
            self._mailbox.remove_gate(before)


@attrs.define(eq=False)
class RateAtWork:
    """The gate of one subscription that may begin only so many attempts in a time.

    It keeps the one time from which on the next attempt is due on average. `burst` attempts may be early.
    """

    policy: Rate
    _mailbox: Mailbox[Any]
    _port: Port
    _alarms: Alarms
    _due: float = attrs.field(default=0.0, init=False)
    _opens_at: float = attrs.field(default=0.0, init=False)
    _has_alarm: bool = attrs.field(default=False, init=False)
    held_by: None = attrs.field(default=None, init=False)  # time opens it

    def is_open(self) -> bool:
        return self._port.now() >= self._opens_at

    def passed(self) -> None:
        interval = self.policy.per / self.policy.attempts
        now = self._port.now()
        self._due = max(self._due, now) + interval
        self._opens_at = self._due - (self.policy.burst - 1) * interval
        self._set_alarm()

    def look(self) -> None:
        """The alarm: it may be open again, unless an attempt has begun just before the alarm came."""
        self._has_alarm = False
        self._set_alarm()
        self._mailbox.reopened()

    def _set_alarm(self) -> None:
        if not self._has_alarm and not self.is_open():
            self._has_alarm = True
            self._alarms.set(self._opens_at, self)
