"""A recorder for tests: what was emitted and what became of it, with assertions that say what they saw instead."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from postroom.checks import is_count
from postroom.errors import InvalidOption
from postroom.names import tokens_of_pattern
from postroom.outcomes import Failed, Outcome, Succeeded
from postroom.quoting import quoted
from postroom.recordings import RecordedEvent, Recording
from postroom.routes import Routes

MOST_SHOWN: Final = 20
"""Events that the message of an assertion shows."""

_TIMES: Final = {1: "once", 2: "twice"}


@attrs.define(eq=False)
class Recorder(Recording):
    """A `Recording` with assertions. Iterate over it for everything that it knows, in the order of emission.

    Patterns are those of subscribers. Without `times`, once or more is enough.
    """

    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False, repr=False)

    def new_id(self) -> str:
        """An id for one more event; the same ones in each run, and none twice for one recorder."""
        return f"event-{next(self._numbers)}"

    def assert_emitted(self, pattern: str, *, times: int | None = None) -> list[RecordedEvent]:
        """Assert that events of these names were emitted; returns them, in order.

        Raises:
            AssertionError: with what was emitted instead.
            InvalidName, InvalidOption: of arguments that make no sense.
        """
        found = list(self._matching(pattern))
        self._check(f"expected {pattern!r} to be emitted", len(found), times)
        return found

    def assert_handled(self, pattern: str, *, by: str | None = None, times: int | None = None) -> list[Outcome]:
        """Assert that events of these names were handled successfully, by the subscription `by` if it is given.

        Returns:
            The outcomes, in order.

        Raises:
            As `assert_emitted`.
        """
        return self._check_outcomes("handled", pattern, by, times, lambda outcome: isinstance(outcome, Succeeded))

    def assert_failed(
        self, pattern: str, *, by: str | None = None, times: int | None = None, error: type[Exception] = Exception
    ) -> list[Outcome]:
        """Assert that the last attempt at events of these names raised `error`; otherwise as `assert_handled`.

        Raises:
            As `assert_emitted`.
        """
        return self._check_outcomes(
            "given up on",
            pattern,
            by,
            times,
            lambda outcome: isinstance(outcome, Failed) and isinstance(outcome.exception, error),
        )

    def assert_all_succeeded(self) -> None:
        """Assert that every delivery has settled, and succeeded.

        Raises:
            AssertionError: with those that have not.
        """
        wrong = [each for each in self if each.pending or not all(map(_succeeded, each.outcomes))]
        if wrong:
            raise AssertionError(f"expected every delivery to succeed; these did not:\n{_shown(wrong)}")

    def _check_outcomes(
        self, what: str, pattern: str, by: str | None, times: int | None, wanted: Callable[[Outcome], bool]
    ) -> list[Outcome]:
        found = [
            each.outcome
            for record in self._matching(pattern)
            for each in record.outcomes
            if wanted(each.outcome) and by in (None, each.outcome.subscription)
        ]
        self._check(f"expected {pattern!r} to be {what}{'' if by is None else f' by {by!r}'}", len(found), times)
        return found

    def _check(self, expectation: str, count: int, times: int | None) -> None:
        if times is not None and not is_count(times, 0):
            raise InvalidOption("times", times, "must be a whole number of times, at least 0")
        if (count if times is None else count == times) or (count == times == 0):
            return
        wanted = "at least once" if times is None else _counted(int(times))
        left_out = f" ({self.evicted} older ones are not kept)" if self.evicted else ""
        raise AssertionError(
            f"{expectation} {wanted}; it was {_counted(count)}. Recorded{left_out}:\n{_shown(list(self))}"
        )

    def _matching(self, pattern: str) -> Iterator[RecordedEvent]:
        routes: Routes[bool] = Routes()
        routes.add((tokens_of_pattern(pattern),), True)
        return (record for record in self if routes.match(record.event.name))


def _counted(count: int) -> str:
    return "never" if count == 0 else _TIMES.get(count, f"{count} times")


def _succeeded(recorded: Any) -> bool:
    return isinstance(recorded.outcome, Succeeded)


def _shown(records: list[RecordedEvent]) -> str:
    """The newest records, one a line, each with its data: a test's own, and what one looks for when it fails."""
    lines = [f"  {_line_of(record)}" for record in records[-MOST_SHOWN:]]
    if len(records) > MOST_SHOWN:
        lines.insert(0, f"  ({len(records) - MOST_SHOWN} earlier ones)")
    return "\n".join(lines) or "  nothing"


def _line_of(record: RecordedEvent) -> str:
    fates = [_fate_of(each.outcome) for each in record.outcomes]
    fates += [f"{name} has not settled" for name in record.pending]
    return f"{record.event.name} {quoted(record.event.data)}: {', '.join(fates) or 'nobody subscribes'}"


def _fate_of(outcome: Outcome) -> str:
    match outcome:
        case Succeeded():
            return f"{outcome.subscription} succeeded"
        case Failed(exception=exception):
            return f"{outcome.subscription} failed with {quoted(exception)} in attempt {outcome.attempts}"
        case _:
            return f"{outcome.subscription} {type(outcome).__name__.lower()} it: {outcome.reason}"
