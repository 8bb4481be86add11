"""What errors and reports say, and the rarer ways in which something is refused (found by goal R22 and by mutation)."""

import enum
import math
from typing import Any

import anyio
import attrs
import msgspec
import pytest

from postroom import (
    Actor,
    Batch,
    BatchFailure,
    Capability,
    Event,
    InvalidEventType,
    InvalidHandler,
    InvalidOption,
    Local,
    Policy,
    Report,
    Runtime,
    Subscriber,
    Succeeded,
    Supervision,
    Unsupported,
    constant,
    event_type,
    exponential,
    on,
    subscriber,
)
from postroom.actor import MOST_NAMES_REMEMBERED
from postroom.codec import (
    BackoffNotPortable,
    RemoteFailure,
    UnreadableRecord,
    check_depth,
    decode_event,
    decode_outcome,
    message_of,
    type_of,
)
from postroom.errors import CausationTooDeep, RuntimeReentered, UnknownSubscription
from postroom.options import is_special
from postroom.quoting import told
from postroom.store_errors import BacklogFull, GroupFull, StillServed, StoreBusy, StoreFull, WrongRole
from postroom.testing import Recorder, open_runtime
from postroom.testing.reference import ReferenceModule, ReferenceStore
from postroom_actors.waits import LONGEST_WAY, Circle, Step

pytestmark = pytest.mark.anyio


@subscriber("order.*")
async def ledger(event: Event) -> None:
    pass


class Untellable(ValueError):
    """Can't be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Names(enum.StrEnum):
    PLACED = "order.placed"


@event_type("order.paid")
@attrs.frozen
class Paid:
    amount: int


@event_type("order.sent", version=2, upcast={1: lambda data: {"parcels": data["parcel"]}})
@attrs.frozen
class Sent:
    parcels: int


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (WrongRole("order.placed"), "outside of a handler"),
        (StillServed("ledger"), "served by a process"),
        (BacklogFull("ledger", 3), "3 deliveries wait"),
        (GroupFull("g", 9), "it holds 9 events"),
        (StoreBusy("sqlite", "locked"), "busy: locked"),
        (StoreFull("sqlite", "no space"), "make room"),
        (RuntimeReentered(), "runs once"),
        (BackoffNotPortable(len), "can't be stored"),
        (RemoteFailure("ValueError", "bad", ""), "ValueError: bad"),
        (Unsupported("local", "durable", "`requires`"), "needs the capability 'durable'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_says_what_happened(error: Exception, says: str) -> None:
    assert says in str(error)


def test_a_chain_without_a_repeated_name_has_no_loop() -> None:
    assert CausationTooDeep("c", 3, "id", ("a", "b", "c")).loop == ()
    assert CausationTooDeep("a", 3, "id", ("a", "b", "a")).loop == ("a", "b", "a")


def test_what_an_error_says_that_can_not_be_printed_is_told_all_the_same() -> None:
    assert told(Untellable()) == "Untellable: which can't be shown"
    assert message_of(Untellable()) == "(its text can't be shown: RuntimeError)"
    assert type_of(RemoteFailure("KeyError", "x", "")) == "KeyError"
    assert message_of(RemoteFailure("KeyError", "x", "")) == "x"


def test_a_report_names_those_it_knows_where_it_is_asked_for_another() -> None:
    with pytest.raises(KeyError, match="none"):
        Report(Event("n"), ()).of("ledger")
    with pytest.raises(KeyError, match="those that have: ledger"):
        Report(Event("n"), (Succeeded("ledger", None, 1, 0.0),)).of("other")


def test_a_long_circle_of_waits_is_cut_in_its_middle() -> None:
    steps = tuple(Step(f"actor-{number}", "room") for number in range(LONGEST_WAY + 5))
    text = str(Circle(steps))
    assert f"({len(steps) - LONGEST_WAY // 2 * 2} more)" in text
    assert text.startswith("actor-0 ")
    assert text.endswith("-> actor-0")


async def test_a_recorder_shows_the_newest_events_and_how_many_were_before(anyio_backend: Any) -> None:
    recorder = Recorder()
    async with open_runtime() as runtime:
        with runtime.recording(recorder):
            for number in range(25):
                await runtime.emit("n", number)
        with pytest.raises(AssertionError, match=r"\(5 earlier ones\)\n  n 5: nobody subscribes"):
            recorder.assert_emitted("other")


async def test_an_interceptor_of_any_number_of_arguments_is_called_with_the_event() -> None:
    seen: list[Any] = []

    def watch(*arguments: Any) -> None:
        seen.extend(arguments)

    async with Runtime(subscribers=[ledger], interceptors=[watch]) as runtime:
        await runtime.emit("order.placed")
    assert [each.name for each in seen] == ["order.placed"]


@pytest.mark.parametrize("option", [{"priority": "high"}, {"delay": 1.0}, {"expires_after": 1.0}, {"timeout": 1.0}])
def test_each_option_that_changes_an_events_way_makes_it_special(option: Any) -> None:
    assert is_special(Event("n", **option))
    assert not is_special(Event("n"))


async def test_a_snapshot_does_not_know_what_is_not_at_work() -> None:
    async with Runtime(subscribers=[ledger]) as runtime:
        with pytest.raises(KeyError, match="other"):
            runtime.snapshot().of("other")


@pytest.mark.parametrize("given", ["durable", 3, {"durable", "sharp"}])
def test_capabilities_are_a_set_of_known_ones(given: Any) -> None:
    with pytest.raises(InvalidOption, match="durable"):
        Runtime(requires=given)


def test_a_runtime_that_needs_more_than_its_module_has_is_not_made() -> None:
    with pytest.raises(Unsupported, match="durable"):
        Runtime(requires={Capability.DURABLE})


@pytest.mark.parametrize("option", [{"module": 3}, {"role": "boss"}])
def test_a_module_and_a_role_are_what_they_should_be(option: Any) -> None:
    with pytest.raises(InvalidOption):
        Runtime(**option)


@pytest.mark.parametrize("option", [{"attempts": 0}, {"attempts": "2"}, {"backoff": 3}, {"backoff": "soon"}])
def test_the_defaults_of_a_runtime_are_checked_as_the_options_are(option: Any) -> None:
    with pytest.raises(InvalidOption):
        Policy(**option)


@pytest.mark.parametrize("failures", [{}, [], {1: ValueError()}, {"id": "late"}])
def test_the_failures_of_a_batch_are_exceptions_by_id(failures: Any) -> None:
    with pytest.raises(InvalidOption, match="must map"):
        BatchFailure(failures)


@pytest.mark.parametrize("directives", [["restart"], {3: "restart"}, {ValueError: "dance"}])
def test_directives_are_words_by_exception(directives: Any) -> None:
    with pytest.raises(InvalidOption):
        Supervision(on=directives)


def test_a_subscriber_names_what_it_wants() -> None:
    with pytest.raises(InvalidOption, match="at least one"):
        on()
    with pytest.raises(InvalidOption, match="tuple of patterns"):
        Subscriber(handler=ledger.handler, patterns="order.*", name="x")
    with pytest.raises(InvalidOption, match="is a function"):
        subscriber(ledger.handler)  # type: ignore[call-overload]  # that is the test


def test_an_actor_has_async_hooks_and_takes_single_events() -> None:
    class Plain(Actor):
        def started(self) -> None:  # type: ignore[override]  # that is the test
            pass

        @on("n")
        async def take(self, event: Event) -> None: ...

    with pytest.raises(InvalidHandler, match="'started' must be `async def`"):
        Runtime(subscribers=[Plain])

    class Good(Actor):
        @on("n")
        async def take(self, event: Event) -> None: ...

    with pytest.raises(InvalidOption, match="single events"):
        Subscriber(handler=Good, patterns=("n",), name="x", batch=Batch(size=3))


async def test_an_actor_that_meets_ever_new_names_forgets_the_oldest() -> None:
    seen: list[str] = []

    class Reader(Actor):
        @on("user.*")
        async def take(self, event: Event) -> None:
            seen.append(event.name)

    async with Runtime(subscribers=[Reader]) as runtime:
        for number in range(MOST_NAMES_REMEMBERED + 2):
            await runtime.emit(f"user.{number}")
        await runtime.idle()
    assert len(seen) == MOST_NAMES_REMEMBERED + 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"version": 0},
        {"version": 2, "upcast": [1]},
        {"version": 2, "upcast": {5: len}},
        {"version": 2, "upcast": {1: 2}},
    ],
)
def test_a_type_of_events_is_declared_well(arguments: Any) -> None:
    with pytest.raises(InvalidEventType):
        event_type("order.made", **arguments)


def test_only_classes_are_types_of_events() -> None:
    with pytest.raises(InvalidEventType, match="not a class"):
        event_type("order.made")(3)  # type: ignore[arg-type]  # that is the test


async def test_a_typed_event_by_another_name_is_plain_data_and_a_name_may_be_of_an_enumeration() -> None:
    taken: list[Event] = []

    @subscriber("order.*")
    async def take(event: Event) -> None:
        taken.append(event)

    async with Runtime(subscribers=[take]) as runtime:
        await runtime.emit(Event("order.other", Paid(3)))
        await runtime.emit(Names.PLACED)
    assert [(each.name, each.data) for each in taken] == [("order.other", Paid(3)), ("order.placed", None)]
    assert type(taken[1].name) is str


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"postroom-version": "two"}, {"parcels": 1}),
        ({"postroom-version": "3"}, {"parcels": 1}),
        ({}, {"box": 1}),
        ({"postroom-version": "2"}, {"parcels": "many"}),
    ],
)
async def test_what_a_typed_handler_can_not_read_is_a_dead_letter(headers: dict[str, str], data: Any) -> None:
    @subscriber("order.sent")
    async def take(event: Sent) -> None:
        pass

    async with Runtime(subscribers=[take]) as runtime:
        report = await (await runtime.emit(Event("order.sent", data, headers=headers)))
        assert not report.succeeded
        (letter,) = await runtime.dead_letters.list()
    assert "can't read order.sent" in letter.reason


async def test_older_data_is_lifted_for_a_typed_handler() -> None:
    taken: list[Sent] = []

    @subscriber("order.sent")
    async def take(event: Sent) -> None:
        taken.append(event)

    async with Runtime(subscribers=[take]) as runtime:
        await runtime.emit("order.sent", {"parcel": 4})
    assert taken == [Sent(4)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"v":99,"name":"n","data":null}', b"x" * (2 * 2**20 + 1)])
def test_a_body_that_no_release_wrote_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        decode_event(body, "id", 0.0)


@pytest.mark.parametrize("encoded", [b"", b"{}", b"[1]", b"\xff"])
def test_an_outcome_that_no_release_wrote_is_unreadable(encoded: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        decode_outcome(encoded)


def test_depth_is_counted_outside_of_strings() -> None:
    check_depth(msgspec.json.encode(["[{" * 100, '\\"[', "}" * 100]))
    with pytest.raises(UnreadableRecord, match="nested deeper"):
        check_depth(b"[" * 65 + b"]" * 65)


async def test_an_expiry_may_be_infinite_but_not_nothing() -> None:
    async with Runtime(subscribers=[ledger]) as runtime:
        assert (await (await runtime.emit("order.placed", expires_after=math.inf))).succeeded
        with pytest.raises(InvalidOption):
            await runtime.emit("order.placed", expires_after=0)


async def test_a_staged_receipt_shows_where_it_is() -> None:
    async with Runtime(subscribers=[ledger]) as runtime:
        staged = await runtime.emit("order.placed", group="g")
        assert "staged in group 'g'" in repr(staged)
        await runtime.clear_group("g")
        assert "dropped in group 'g'" in repr(staged)
        released = await runtime.emit("order.placed", group="h")
        await runtime.release_group("h")
        assert "group" not in repr(released)
        assert await released.answer() is None


async def test_a_snapshot_tells_for_how_long_a_handler_has_been_at_work() -> None:
    @subscriber("n")
    async def slow(event: Event) -> None:
        await anyio.sleep(10)

    async with Runtime(subscribers=[slow]) as runtime:
        await anyio.sleep(100)
        await runtime.emit("n")
        await anyio.sleep(4)
        (at_work,) = runtime.snapshot().of("slow").in_hand
    assert 0 <= at_work.seconds < 5


async def test_a_subscription_that_nobody_serves_can_be_removed() -> None:
    store = ReferenceStore()
    async with Runtime(module=ReferenceModule(store), subscribers=[ledger]):
        pass
    async with Runtime(module=ReferenceModule(store)) as runtime:
        await runtime.emit("order.placed", 1)
        assert await runtime.remove_subscription("ledger") == 1
        with pytest.raises(UnknownSubscription):
            await runtime.remove_subscription("ledger")


async def test_a_subscription_that_is_served_can_not_be_removed() -> None:
    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[ledger]) as runtime:
        with pytest.raises(StillServed):
            await runtime.remove_subscription("ledger")


async def test_in_memory_no_subscription_is_stored() -> None:
    async with Runtime(module=Local()) as runtime:
        with pytest.raises(Unsupported, match="remove_subscription"):
            await runtime.remove_subscription("ledger")


async def test_a_runtime_that_only_emits_spawns_nothing() -> None:
    async with Runtime(module=ReferenceModule(ReferenceStore()), role="emit") as runtime:
        with pytest.raises(InvalidOption, match="handles nothing"):
            await runtime.spawn(ledger)


@pytest.mark.parametrize("backoff", [constant(3), exponential(1), exponential(1, limit=5, jitter=False)])
async def test_a_known_backoff_travels_with_its_event(backoff: Any) -> None:
    async with Runtime(module=ReferenceModule(ReferenceStore()), subscribers=[ledger]) as runtime:
        assert (await (await runtime.emit("order.placed", 1, attempts=2, backoff=backoff))).succeeded
        with pytest.raises(BackoffNotPortable):
            await runtime.emit("order.placed", 1, backoff=lambda _attempt, _random: 3)
