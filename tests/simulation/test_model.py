"""The model objects to whatever the promises don't allow: each rule, broken once."""

from collections.abc import Callable
from typing import Any

import pytest

from postroom import Cancelled, Dropped, Event, Expired, Failed, Succeeded

from .failures import Boom
from .judging import judge
from .model import Model, matches
from .program import Spec
from .sometimes import Sometimes

ONE = Event("a", id="1")
TWO = Event("a", id="2")
KEYED = Event("a", id="3", key="k")
KEYED_TOO = Event("a", id="4", key="k")


def model_with(*events: Event, **options: Any) -> tuple[Model, list[str]]:
    """A model of one subscription that was to get these events, and what it objects to."""
    objections: list[str] = []
    model = Model(objections.append)
    spec = Spec(name="s", patterns=("a",), **options)
    model.at_work["s"] = spec
    for event in events:
        model.accept(event, spec, 2)
    return model, objections


def run(model: Model, event: Event, how: str = "returned", attempt: int = 1) -> None:
    model.end(model.begin("s", event, attempt), how, "value")


def succeeded(model: Model, event: Event, value: str = "value", attempts: int = 1) -> None:
    model.settle("s", event, Succeeded("s", value, attempts, 0.0))


def test_it_is_content_with_what_is_right() -> None:
    model, objections = model_with(ONE, TWO, KEYED)
    run(model, ONE, "raised")
    run(model, TWO)
    succeeded(model, TWO)
    run(model, ONE, attempt=2)
    succeeded(model, ONE, attempts=2)
    run(model, KEYED, "cancelled")
    model.closing = True
    model.settle("s", KEYED, Cancelled("s", "", 1, 0.0))
    assert not objections
    assert not model.pending["s"]


def begin_unknown(model: Model) -> None:
    model.begin("s", Event("a", id="never accepted"), 1)


def begin_twice(model: Model) -> None:
    model.begin("s", ONE, 1)
    model.begin("s", ONE, 2)


def skip_an_attempt(model: Model) -> None:
    run(model, ONE, "raised")
    model.begin("s", ONE, 3)


def repeat_an_attempt(model: Model) -> None:
    run(model, ONE, "raised")
    model.begin("s", ONE, 1)


def attempt_too_often(model: Model) -> None:
    for attempt in (1, 2, 3):
        run(model, ONE, "raised", attempt)


def overtake(model: Model) -> None:
    model.begin("s", TWO, 1)


def overtake_in_the_key(model: Model) -> None:
    model.begin("s", KEYED_TOO, 1)


def begin_while_the_key_is_retried(model: Model) -> None:
    run(model, KEYED, "raised")
    model.begin("s", KEYED_TOO, 1)


def settle_twice(model: Model) -> None:
    run(model, ONE)
    succeeded(model, ONE)
    succeeded(model, ONE)


def settle_while_it_runs(model: Model) -> None:
    model.begin("s", ONE, 1)
    succeeded(model, ONE)


def succeed_unhandled(model: Model) -> None:
    succeeded(model, ONE)


def succeed_late(model: Model) -> None:
    run(model, ONE, "late")
    succeeded(model, ONE)


def succeed_with_another_value(model: Model) -> None:
    run(model, ONE)
    succeeded(model, ONE, "another")


def fail_although_it_returned(model: Model) -> None:
    run(model, ONE)
    model.settle("s", ONE, Failed("s", ValueError(), 1, 0.0))


def drop_where_all_wait(model: Model) -> None:
    model.settle("s", ONE, Dropped("s", "overflow: drop_oldest", 0, 0.0))


def expire_what_never_does(model: Model) -> None:
    model.settle("s", ONE, Expired("s", "", 0, 0.0))


def cancel_for_no_reason(model: Model) -> None:
    model.settle("s", ONE, Cancelled("s", "", 0, 0.0))


def accept_twice(model: Model) -> None:
    model.accept(ONE, model.at_work["s"], 1)


def accept_what_it_does_not_subscribe_to(model: Model) -> None:
    model.accept(Event("b", id="5"), model.at_work["s"], 1)


def leave_one_out(model: Model) -> None:
    model.check_targets(Event("a"), [], [])


def give_to_one_too_many(model: Model) -> None:
    model.check_targets(Event("b"), ["s"], [])


@pytest.mark.parametrize(
    ("broken", "objection"),
    [
        (begin_unknown, "was not to get"),
        (begin_twice, "twice at the same time"),
        (skip_an_attempt, "begins attempt 3 after attempt 1"),
        (repeat_an_attempt, "begins attempt 1 after attempt 1"),
        (attempt_too_often, "attempt 3 of 2"),
        (overtake, "came earlier"),
        (overtake_in_the_key, "same key"),
        (begin_while_the_key_is_retried, "of the same key, is not finished"),
        (settle_twice, "settled again"),
        (settle_while_it_runs, "still runs"),
        (succeed_unhandled, "no handler has returned"),
        (succeed_late, "no handler has returned in time"),
        (succeed_with_another_value, "which returned 'value'"),
        (fail_although_it_returned, "has returned"),
        (drop_where_all_wait, "drop_oldest"),
        (expire_what_never_does, "settled Expired"),
        (cancel_for_no_reason, "nobody ended it"),
        (accept_twice, "twice at the same time"),
        (accept_what_it_does_not_subscribe_to, "does not subscribe"),
        (leave_one_out, "should have"),
        (give_to_one_too_many, "should have"),
    ],
)
def test_it_objects(broken: Callable[[Model], None], objection: str) -> None:
    model, objections = model_with(ONE, TWO, KEYED, KEYED_TOO)
    broken(model)
    assert any(objection in each for each in objections), objections


def test_a_batch_takes_what_came_first() -> None:
    model, objections = model_with(ONE, TWO, kind="batch")
    model.begin("s", ONE, None, ["1", "2"])
    model.begin("s", TWO, None, ["1", "2"])
    assert not objections
    model, objections = model_with(ONE, TWO, kind="batch")
    model.begin("s", TWO, None, ["2"])
    assert "in a batch before" in objections[0]


def test_those_of_a_key_that_failed_in_one_batch_come_again_in_order() -> None:
    model, objections = model_with(KEYED, KEYED_TOO, kind="batch", concurrency=2)
    taken = [model.begin("s", event, None, ["3", "4"]) for event in (KEYED, KEYED_TOO)]
    for one in taken:
        model.end(one, "raised")
    first = model.begin("s", KEYED, None, ["3"])
    assert not objections
    model.begin("s", KEYED_TOO, None, ["4"])
    assert "came earlier and has the same key" in objections[-1]
    model.end(first, "raised")
    assert "while the handler has" in objections[0]


@pytest.mark.parametrize(
    ("error", "attempt", "wrong"),
    [
        (Boom("s", frozenset({"1"})), 2, None),
        (Boom("s", frozenset({"1"})), 1, "in attempt 1 of 2"),
        (Boom("s", frozenset({"2"})), 2, "not its own"),
        (Boom("other", frozenset({"1"})), 2, "not its own"),
        (ExceptionGroup("", [Boom("s", frozenset({"1"}))]), 2, None),
        (ExceptionGroup("", [Boom("s", frozenset({"1"})), Boom("t", frozenset({"1"}))]), 2, "not its own"),
        (ValueError(), 2, "not its own"),
    ],
)
def test_a_failure_is_the_deliverys_own_and_its_last(error: Exception, attempt: int, wrong: str | None) -> None:
    model, _ = model_with(ONE)
    one = model.pending["s"]["1"]
    one.attempt, one.ended = attempt, "raised"
    found = judge(one, Failed("s", error, attempt, 0.0), Sometimes())
    assert found == wrong or (wrong is not None and wrong in str(found))


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [("a", "a", True), ("a", "b", False), ("a.*", "a.x", True), ("a.**", "a", False), ("**", "a.b.c", True)],
)
def test_patterns_match_by_the_plainest_rule(pattern: str, name: str, is_match: bool) -> None:
    assert matches(pattern, name) is is_match
