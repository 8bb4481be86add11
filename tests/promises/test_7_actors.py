"""Promise 7, actors: which method handles what, and which declarations are refused."""

from functools import partial
from typing import Any

import pytest

from postroom import (
    Actor,
    Breaker,
    Event,
    InvalidHandler,
    InvalidOption,
    OutsideRuntime,
    Rate,
    Runtime,
    Siblings,
    Supervision,
    on,
    subscriber,
)
from tests.promises.clerks import FRESH, Clerk, values


async def test_the_most_specific_method_handles_an_event_and_no_other() -> None:
    class Many(Actor):
        @on("order.**")
        async def rest(self, event: Event) -> str:
            return "rest"

        @on("order.*")
        async def one(self, event: Event) -> str:
            return "one"

        @on("order.placed", "order.paid")
        def exact(self, event: Event) -> str:
            return "exact"

    async with Runtime(subscribers=[Many]) as runtime:
        names = ["order.placed", "order.paid", "order.sent", "order.a.b"]
        assert [await runtime.request(name) for name in names] == ["exact", "exact", "one", "rest"]


async def test_arguments_that_an_actors_constructor_does_not_take_are_refused_and_nothing_is_started() -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidHandler, match="it can't be made: too many positional arguments"):
            await runtime.spawn(Clerk, [], 1, "one too many")
        with pytest.raises(InvalidHandler, match="it can't be made: got an unexpected keyword argument 'other'"):
            await runtime.spawn(partial(Clerk, [], other=1))  # type: ignore[call-arg]
        with pytest.raises(InvalidHandler, match="it can't be made: missing a required argument: 'told'"):
            await runtime.spawn(Clerk)
        with pytest.raises(InvalidHandler, match="it can't be made: multiple values for argument 'start'"):
            await runtime.spawn(partial(Clerk, [], start=1), 7)
        await runtime.spawn(partial(partial(Clerk, []), start=1))
        assert len(runtime.subscriptions) == 1


def test_two_methods_that_match_the_same_events_are_refused_when_the_class_is_made() -> None:
    async def handle(self: Any, event: Event) -> None: ...

    for first, second in [("a.b", "a.b"), ("a.*", "*.b"), ("a.**", "*.b")]:
        with pytest.raises(InvalidHandler, match="neither pattern is more specific"):
            type("Two", (Actor,), {"one": on(first)(copy_of(handle)), "two": on(second)(copy_of(handle))})


def copy_of(function: Any) -> Any:
    return type(function)(function.__code__, function.__globals__)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: subscriber()(type("Idle", (Actor,), {})), "no method of it is marked"),
        (lambda: subscriber()(Clerk), "missing a required argument: 'told'"),
        (lambda: subscriber("x")(partial(Clerk, [])), "those of its methods"),
        (lambda: subscriber(concurrency=2)(partial(Clerk, [])), "one event at a time"),
        (lambda: subscriber("n", supervision=FRESH)(values), "nothing to restart"),
        (lambda: subscriber("n", breaker=3), "must be a Breaker"),  # type: ignore[call-overload]
        (lambda: Supervision(default="retry"), "must be one of"),  # type: ignore[arg-type]
        (lambda: Supervision(on={int: "stop"}), "classes of exceptions"),  # type: ignore[dict-item]
        (lambda: Supervision(intensity=-1), "at least 0"),
        (lambda: Supervision(within=0), "above 0"),
        (lambda: Breaker(failures=0), "at least 1"),
        (lambda: Rate(1, per=0), "above 0"),
        (lambda: Siblings([]), "at least one"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declare: Any, message: str) -> None:
    with pytest.raises((InvalidHandler, InvalidOption), match=message):
        made = declare()
        made(values)


async def test_an_actor_that_was_made_by_hand_says_what_it_lacks() -> None:
    clerk = Clerk([])
    with pytest.raises(OutsideRuntime, match=r"Clerk\.name is there from `started` on"):
        _ = clerk.name
    with pytest.raises(OutsideRuntime, match=r"Clerk\.scope is there from `started` on"):
        _ = clerk.scope
    with pytest.raises(OutsideRuntime, match=r"Clerk\.emit"):
        await clerk.emit("n")
    with pytest.raises(OutsideRuntime, match=r"Clerk\.spawn"):
        await clerk.spawn(Clerk, [])


def test_an_override_that_forgot_its_mark_is_refused_when_the_class_is_made_and_a_marked_one_counts() -> None:
    with pytest.raises(InvalidHandler, match="its 'add' overrides a method that is marked with @on"):

        class Forgot(Clerk):
            async def add(self, event: Event) -> int:
                return 0

    class Other(Clerk):
        @on("other")
        async def add(self, event: Event) -> int:
            return 0

    assert subscriber()(partial(Other, [])).patterns == ("other",)


async def test_a_declared_actor_keeps_its_policies_when_it_is_spawned_with_arguments() -> None:
    declared = subscriber(name="declared", capacity=7, supervision=FRESH)(partial(Clerk, []))
    async with Runtime() as runtime:
        clerk = await runtime.spawn(declared, 40, name="spawned")
        assert (clerk.name, clerk.subscriber.capacity, clerk.subscriber.supervision) == ("spawned", 7, FRESH)
        assert await values(runtime, 1, "crash", 1) == [41, "Failed", 41]
