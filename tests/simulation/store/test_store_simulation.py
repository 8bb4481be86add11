"""The simulator of processes on a store: it holds, it is repeatable, and it sees what it is to see."""

import contextlib
import io
import re

import pytest

from postroom.codec import encode_event, encode_outcome
from postroom.contract import Binding, Loan, Published, Settlement, Step, StoredEvent
from postroom.event import Event
from postroom.outcomes import Succeeded

from .. import __main__ as command
from ..campaign import STORE, regressions, run_all, told
from ..determinism import digests, digests_elsewhere
from ..schedules import BACKENDS, Backend
from .generator import generate_for_store
from .model import StoreModel
from .program import StoreSpec
from .records import Loan as InHand
from .sometimes import StoreSometimes


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_promise_is_broken_in_some_runs_and_seeds_that_failed_once_fail_no_more(backend: Backend) -> None:
    campaign = run_all(backend, [*regressions(backend, STORE), *range(30)], simulator=STORE)
    assert not campaign.failures, "\n".join(told(campaign.failures[0], STORE))
    assert campaign.sometimes["killed with deliveries"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_seed_does_the_same_again_here_and_in_another_process_with_other_hashes(backend: Backend) -> None:
    here = digests(backend, range(5), STORE)
    assert digests(backend, range(5), STORE) == here
    assert digests_elsewhere(backend, range(5), 4242, STORE) == here


def test_the_program_of_a_seed_is_the_same_each_time_and_those_of_seeds_differ() -> None:
    assert generate_for_store(1) == generate_for_store(1)
    assert len({generate_for_store(seed) for seed in range(20)}) == 20


def test_the_command_prints_its_goal_and_a_trace() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert command.main(["--store", "--backend", "trio", "--seeds", "2"]) == 0
        assert command.main(["--store", "--backend", "trio", "--seed", "3", "--steps", "40"]) == 0
    assert re.search(r"^GOAL R1-store 0 PASS backend=trio seed=0 seeds=2 ", printed.getvalue(), re.MULTILINE)
    assert "p0.1 begins" in printed.getvalue()


EVENT = StoredEvent("e1", "a", encode_event(Event("a", "ok", headers={"by": "who"})))


class Told:
    """A model with one subscription, one event accepted for it, and what it has objected to."""

    def __init__(self, may_lose: bool = False) -> None:
        self.objections: list[str] = []
        spec = StoreSpec(name="s", patterns=("a",), served_by=(0,))
        self.model = StoreModel(
            self.objections.append, lambda: 1.0, StoreSometimes(), lambda session: may_lose, {"s": spec}
        )
        self.model.bound("one", [Binding("s", ("a",))], serve=True)
        self.publish()

    def publish(self, targets: tuple[str, ...] = ("s",)) -> None:
        self.model.published([EVENT], [Published(1.0, targets)], is_new=True)

    def lend(self, session: str = "one", token: int = 1, losses: int = 0) -> None:
        self.model.lent(session, Loan("s", token, "e1", EVENT.body, 1.0, 0.0, 0, losses))

    def settle(self, session: str = "one", token: int = 1, *, was_taken: bool = True) -> None:
        outcome = encode_outcome(Succeeded("s", None, 1, 0.0))
        self.model.settled(session, Settlement(token, Step.SETTLED, outcome), was_taken=was_taken)

    def handle(self, session: str = "one", ended: str | None = "returned", token: int = 1) -> None:
        run = self.model.begin(session, "s", Event("a", "ok", id="e1"), InHand(token, 1))
        assert run is not None
        run.ended = ended


def test_a_delivery_that_is_lent_handled_and_settled_is_as_it_should_be() -> None:
    told = Told()
    told.lend()
    told.handle()
    told.settle()
    told.model.check_at_end()
    assert not told.objections


def test_the_model_objects_to_an_event_that_is_accepted_twice() -> None:
    told = Told()
    told.publish()
    assert told.objections == ["e1 is accepted twice"]


def test_the_model_objects_to_wrong_targets() -> None:
    told = Told()
    told.model.published([StoredEvent("e2", "a", EVENT.body)], [Published(1.0, ())], is_new=True)
    assert told.objections == ["e2 a went to (), and should have to ['s']"]


def test_the_model_objects_to_two_loans_of_one_delivery() -> None:
    told = Told()
    told.lend("one", 1)
    told.lend("two", 2)
    assert told.objections == ["e1 for s was lent to two, and one has it"]


def test_the_model_objects_to_a_token_that_was_used_before_and_to_losses_that_are_not_counted() -> None:
    told = Told(may_lose=True)
    told.lend("one", 1)
    told.model.ran_out("one", 1.0)
    told.lend("two", 1)
    assert [text.partition(" under")[0] for text in told.objections] == [
        "e1 for s was lent",
        "e1 for s was lent after 0 attempts, 0 losses, not 0, 1",
    ]


def test_the_model_objects_to_an_old_token_that_counts_and_to_a_good_one_that_does_not() -> None:
    told = Told(may_lose=True)
    told.lend("one", 1)
    told.handle("one")
    told.settle("one", 1, was_taken=False)
    told.model.ran_out("one", 1.0)
    told.settle("one", 1)
    assert [text.rpartition(" under 1 ")[2] for text in told.objections] == [
        "was refused, wrongly",
        "was taken, wrongly",
    ]


def test_the_model_objects_to_the_lease_of_a_living_process_that_runs_out() -> None:
    told = Told(may_lose=False)
    told.model.ran_out("one", 1.0)
    assert told.objections == ["the lease of one ran out at 1, and its process lives"]


def test_the_model_objects_to_two_live_runs_but_for_a_lease_that_ran_out() -> None:
    told = Told(may_lose=True)
    told.lend("one", 1)
    told.handle("one", None)
    told.model.ran_out("one", 1.0)
    told.lend("two", 2, losses=1)
    told.handle("two", None, token=2)
    assert not told.objections
    told.model.void.clear()
    told.handle("two", None, token=2)
    assert any("handles it still" in text for text in told.objections)


def test_the_model_objects_to_a_handler_of_what_its_process_has_not() -> None:
    told = Told(may_lose=True)
    told.lend("one", 1)
    told.model.reclaimed("one", ())
    told.handle("one")
    assert told.objections == ["one handles e1 for s, which it has not"]


def test_a_process_that_is_not_aware_that_its_lease_has_run_out_may_handle_what_it_had_until_it_registers_again() -> (
    None
):
    told = Told(may_lose=True)
    told.lend("one", 1)
    told.model.ran_out("one", 1.0)
    told.lend("one", 2, losses=1)  # it may take this for a loan of before, and drop it
    told.handle("one", token=1)
    told.model.reclaimed("one", ())
    told.handle("one", token=2)
    assert not told.objections
    told.model.told_lost("one")
    told.model.bound("one", [Binding("s", ("a",))], serve=True)
    told.lend("one", 3, losses=1)
    told.model.reclaimed("one", ())
    told.handle("one", token=3)
    assert told.objections == ["one handles e1 for s, which it has not"]


def test_the_model_objects_to_a_success_that_nobody_had_and_to_what_is_left_at_the_end() -> None:
    told = Told()
    told.model.check_at_end()
    told.lend()
    told.settle()
    assert told.objections[0] == "at rest, and these are not over: e1 for s"
    assert told.objections[1] == "e1 for s succeeded, and no handler has returned"


def test_the_model_objects_to_a_session_that_ends_before_it_has_written_what_it_handled() -> None:
    told = Told()
    told.lend()
    told.handle()
    told.model.ended("one")
    assert told.objections == ["one has ended, and has not written that it has handled e1 for s"]


def test_the_model_objects_to_a_group_that_is_released_in_part() -> None:
    told = Told()
    second = StoredEvent("e2", "a", EVENT.body)
    third = StoredEvent("e3", "a", EVENT.body)
    told.model.staged("one", "g", [second, third], [None, None])
    told.model.released("one", "g", ["e2"], [Published(1.0, ("s",), {}, EVENT.body)], is_new=True)
    assert told.objections == ["of group g, ['e2'] were released, and ['e2', 'e3'] were staged"]


def test_the_model_objects_to_a_call_that_is_made_again_with_another_result() -> None:
    told = Told()
    assert told.model.is_new("one", 1, ["a"])
    assert not told.model.is_new("one", 1, ["a"])
    assert not told.objections
    assert not told.model.is_new("one", 1, ["b"])
    assert told.objections == ["one has made call 1 again, and got ['b'] instead of ['a']"]
