"""What a subscription tells of itself: to the log, and to those who watch."""

import attrs

from . import log
from .changes import Change, ChangeKind, Watches
from .clock import Clock
from .delivery import Delivery, deliveries_in, fields_of
from .event import Event


@attrs.frozen(eq=False)
class Teller:
    """Tells what happens to the deliveries of one subscription."""

    _name: str
    _log: log.Log
    _changes: Watches[Change]
    _clock: Clock

    def changed(
        self, kind: ChangeKind, event: Event | None = None, *, attempt: int | None = None, reason: str = ""
    ) -> None:
        """Tell those who watch, if any."""
        if self._changes.open:
            self._changes.tell(
                Change(
                    kind=kind,
                    time=self._clock.time(),
                    subscription=self._name,
                    event_id=None if event is None else event.id,
                    event_name=None if event is None else event.name,
                    attempt=attempt,
                    reason=reason,
                )
            )

    def retrying(self, delivery: Delivery, attempt: int, error: Exception, wait: float, *, quiet: bool) -> None:
        """An attempt failed, and there will be another one; `quiet` keeps it out of the log."""
        event, kind = delivery.event, type(error).__name__
        if not quiet:
            fields = fields_of(delivery, self._name, attempt)
            self._log.write(log.RETRYING, attempt, self._name, event.name, event.id, kind, wait, fields=fields)
        self.changed("retrying", event, attempt=attempt, reason=f"{kind}; next in {wait:.3f} s")

    def gave_up(self, delivery: Delivery, error: Exception, *, quiet: bool) -> None:
        """The last attempt failed; `quiet` keeps it out of the log."""
        if not quiet:
            event, attempt, kind = delivery.event, delivery.attempt, type(error).__name__
            fields = fields_of(delivery, self._name)
            self._log.write(log.GAVE_UP, self._name, event.name, event.id, attempt, kind, fields=fields)

    def buried(self, event: Event, error: Exception | None, reason: str, attempts: int) -> None:
        """A delivery has become a dead letter; the text of an error stays there."""
        why = reason if error is None else f"{type(error).__name__} in attempt {attempts}"
        self.changed("dead_letter", event, attempt=attempts, reason=why)

    def stuck(self, message: object, timeout: float, grace: float) -> None:
        """What a worker has in hand goes on although it was cancelled."""
        self._log.write(log.STUCK, self._name, grace, timeout, fields=fields_of(message, self._name))
        for delivery in deliveries_in(message):
            reason = f"{grace:g} s after its timeout of {timeout:g} s"
            self.changed("stuck", delivery.event, attempt=delivery.attempt, reason=reason)

    def cut_short(self, delivery: Delivery) -> None:
        """A handler was cancelled since the runtime closes."""
        event, attempt = delivery.event, delivery.attempt
        fields = fields_of(delivery, self._name)
        self._log.write(log.CUT_SHORT, self._name, event.name, event.id, attempt, fields=fields)
        self.changed("cut_short", event, attempt=attempt, reason="the runtime closed")

    def restarted(self, error: Exception, wait: float) -> None:
        """A fresh instance of an actor is to go on."""
        self._log.write(log.RESTARTED, self._name, type(error).__name__, wait)
        self.changed("restarted", reason=f"{type(error).__name__}; in {wait:.3f} s")

    def failed(self, moment: str, error: Exception) -> None:
        """An instance of an actor failed otherwise than at an event."""
        self._log.write(log.INSTANCE_FAILED, self._name, moment, type(error).__name__)

    def stopping_late(self, grace: float) -> None:
        """An instance did not stop in time."""
        self._log.write(log.STOPPED_LATE, self._name, grace)

    def stopped(self, reason: str) -> None:
        """The supervision ends the subscription."""
        self._log.write(log.STOPPED, self._name, reason)

    def escalated(self, reason: str) -> None:
        """The supervision lets the runtime fall."""
        self._log.write(log.ESCALATED, self._name, reason)

    def breaker(self, state: str, reason: str) -> None:
        """A breaker has opened or closed."""
        self._log.write(log.BREAKER, self._name, state, f" ({reason})" if reason else "")
        self.changed("breaker", reason=f"{state}: {reason}" if reason else state)
