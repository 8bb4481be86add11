"""Every bug of the bank still fits the source, quick ones are found, and what is no bug is not."""

import contextlib
import io
import re

import attrs
import pytest

from . import __main__ as command
from .bank import BANK
from .hunting import Catch, Hunt, hunt_all, told
from .planting import Moved, code_with, function_of

QUICK = ["matched-too-early", "wake-the-first-only"]


def test_there_are_enough_bugs_and_each_has_a_name_of_its_own() -> None:
    assert len(BANK) >= 20
    assert len({bug.mistake for bug in BANK.values()}) == len(BANK)
    assert {bug.name for bug in BANK.values()} == set(BANK)


@pytest.mark.parametrize("name", BANK)
def test_a_bug_fits_the_source_and_changes_it(name: str) -> None:
    wrong, right = code_with(BANK[name]), function_of(BANK[name].where).__code__
    assert wrong.co_name == right.co_name
    assert (wrong.co_code, wrong.co_names, wrong.co_consts) != (right.co_code, right.co_names, right.co_consts)


@pytest.mark.parametrize(
    "where",
    [
        "postroom_actors.mailbox:Mailbox.no_such_method",
        "postroom_actors.mailbox:NoSuchClass.put",
        "postroom_actors.mailbox:Mailbox",
    ],
)
def test_a_bug_whose_function_has_moved_says_so(where: str) -> None:
    with pytest.raises(Moved):
        function_of(where)


def test_a_bug_whose_text_has_changed_says_so_and_shows_the_source() -> None:
    bug = attrs.evolve(BANK["last-come-first-served"], old="self.line.popright()")
    with pytest.raises(Moved, match=r"stands 0 times in postroom_actors\.mailbox:Mailbox\.admit_next[\s\S]*popleft"):
        code_with(bug)


@pytest.mark.slow
def test_quick_bugs_are_found_in_processes_of_their_own_and_this_one_stays_clean() -> None:
    before = [function_of(BANK[name].where).__code__ for name in QUICK]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert command.main(["--only", ",".join(QUICK), "--seeds", "20"]) == 0
    assert re.search(r"^GOAL R3 found 2 of 2 within 20 seeds PASS seed=1 ", printed.getvalue(), re.MULTILINE)
    assert [function_of(BANK[name].where).__code__ for name in QUICK] == before


@pytest.mark.slow
def test_a_bug_that_is_not_found_misses_the_goal_and_says_what_it_was() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert command.main(["--only", "group-half-released", "--seeds", "1"]) == 1
    assert "group-half-released: NOT FOUND" in printed.getvalue()
    assert BANK["group-half-released"].mistake in printed.getvalue()
    assert "GOAL R3 found 0 of 1 within 1 seeds FAIL" in printed.getvalue()


@pytest.mark.slow
def test_a_hunt_that_takes_too_long_is_ended_and_has_not_found_its_bug() -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        (catch,) = hunt_all(["group-half-released"], 1, 500, 0.2, 1)
    assert catch.seed is None
    assert catch.trouble == "it took more than 0.2 s"


def test_a_hunt_that_dies_has_not_found_its_bug_and_says_why() -> None:
    hunt = Hunt.begin(BANK[QUICK[0]], 1, 0, 60)  # no seeds: it has nothing to say but that
    hunt.process.kill()
    hunt.process.wait()
    catch = hunt.caught()
    assert catch is not None
    assert catch.seed is None
    assert catch.trouble is not None
    assert "the hunt failed" in catch.trouble


def test_a_catch_is_told_in_one_line() -> None:
    catch = Catch(name=QUICK[0], seconds=1.25, seed=7, backend="trio", promise="one thing\nand another")
    assert told(catch) == f"{QUICK[0]}: found at seed 7 on trio, 1.2 s: one thing"


def test_a_bug_that_is_not_in_the_bank_is_refused() -> None:
    with pytest.raises(SystemExit) as caught, contextlib.redirect_stderr(io.StringIO()) as printed:
        command.main(["--only", "no-such-bug"])
    assert caught.value.code == 2
    assert "there is no bug no-such-bug" in printed.getvalue()


def test_the_bank_is_listed_with_what_each_bug_re_introduces() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert command.main(["--list"]) == 0
    assert all(f"{name}: {bug.mistake}" in printed.getvalue() for name, bug in BANK.items())
