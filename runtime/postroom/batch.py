"""Batches: events handed over several at a time, for handlers whose cost is in the call, such as a bulk insert."""

import math
from collections.abc import Mapping
from typing import Any

import attrs

from .errors import InvalidOption, PostroomError


def _check_size(_batch: object, _attribute: object, size: Any) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidOption("size", size, "must be a whole number of events, at least 1")


def _check_within(_batch: object, _attribute: object, within: Any) -> None:
    if isinstance(within, bool) or not isinstance(within, int | float) or not math.isfinite(within) or within < 0:
        raise InvalidOption("within", within, "must be a finite number of seconds, at least 0")


@attrs.frozen(kw_only=True)
class Batch:
    """How events are put together for a handler that takes a list of them.

    Attributes:
        size: The most events in a batch.
        within: Seconds after its first event at which a batch is handed over even if it is not full.
    """

    size: int = attrs.field(validator=_check_size)
    within: float = attrs.field(default=0.0, validator=_check_within)


@attrs.define
class BatchFailure(PostroomError):
    """Raised by a handler of batches where some of the events failed; the others succeeded.

    Attributes:
        failures: What went wrong, by the id of the event.
    """

    failures: Mapping[str, Exception]

    def __str__(self) -> str:
        return f"{len(self.failures)} event(s) of the batch failed."
