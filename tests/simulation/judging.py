"""Judging outcomes: whether what a delivery ended with may be, and what is rare about it."""

from postroom import Cancelled, Dropped, Expired, Failed, HandlerAborted, HandlerTimeout, Outcome, Succeeded

from .failures import Boom, Down, is_own, is_stop
from .model import Expected
from .sometimes import Sometimes


def judge(one: Expected, outcome: Outcome, sometimes: Sometimes) -> str | None:
    """What is wrong with an outcome that the model has let pass; None where nothing is."""
    match outcome:
        case Succeeded():
            if one.attempt > 1:
                sometimes.hit("retried and succeeded")
            if one.delayed:
                sometimes.hit("delayed")
            if one.runs > one.attempt:
                sometimes.hit("handed back" if one.spec.kind == "actor" else "excused by a breaker")
        case Failed(exception=exception):
            sometimes.hit("timed out" if isinstance(exception, HandlerTimeout) else "failed for good")
            return _wrong_failure(one, exception, sometimes)
        case Dropped(reason=reason):
            for words, situation in _DROPS.items():
                if words in reason:
                    sometimes.hit(situation)
        case Expired():
            sometimes.hit("expired")
        case Cancelled():
            if one.attempt and not one.live and one.ended == "raised":
                sometimes.hit("drain cut a backoff")
            elif one.ended == "cancelled":
                sometimes.hit("drain cut a handler")
    return None


def _wrong_failure(one: Expected, exception: Exception, sometimes: Sometimes) -> str | None:
    spec = one.spec
    if is_stop(exception):
        sometimes.hit("stopped by its supervision")
        return None if spec.restarts is not None else f"with {exception!r}, and it has no supervision"
    if not is_own(exception, spec.name, one.event.id):
        return f"with what is not its own: {exception!r}"
    if one.ended is None:
        return f"with {exception!r}, and no handler has ended"
    is_retried = spec.on_all or isinstance(exception, Boom | Down)
    if is_retried and spec.restarts is None and one.attempt < one.most:
        return f"with {exception!r} in attempt {one.attempt} of {one.most}"
    if isinstance(exception, HandlerTimeout) and one.ended == "raised" and exception.__cause__ is None:
        return None
    if isinstance(exception, HandlerAborted) and one.ended == "returned":
        return f"with {exception!r}, and its handler returned"
    return None


_DROPS = {
    "drop_oldest": "dropped oldest",
    "drop_newest": "dropped newest",
    "coalesce": "coalesced",
    "went away": "abandoned dropped",
}
