"""Batches: events handed over several at a time, for handlers whose cost is in the call, such as a bulk insert."""

from collections.abc import Mapping
from typing import Any

import attrs

from .checks import count_of, paired, seconds
from .errors import InvalidOption, PostroomError


@attrs.frozen(kw_only=True)
class Batch:
    """How events are put together for a handler that takes a list of them.

    Attributes:
        size: The most events in a batch.
        within: Seconds after its first event at which a batch is handed over even if it is not full.
    """

    size: int = attrs.field(validator=count_of("events"))
    within: float = attrs.field(default=0.0, validator=seconds())


def _check_failures(_failure: object, _attribute: object, failures: Any) -> None:
    if not isinstance(failures, Mapping) or not (pairs := paired("failures", failures)):
        raise InvalidOption("failures", failures, "must map the id of each event that failed to its exception")
    for id, error in pairs.items():
        if not isinstance(id, str) or not isinstance(error, Exception):
            raise InvalidOption("failures", {id: error}, "must map an event's id, a string, to an exception")


@attrs.define
class BatchFailure(PostroomError):
    """Raised by a handler of batches where some of the events failed; the others succeeded.

    Attributes:
        failures: What went wrong, by the id of the event.
    """

    failures: Mapping[str, Exception] = attrs.field(validator=_check_failures)

    def __str__(self) -> str:
        return f"{len(self.failures)} event(s) of the batch failed."
