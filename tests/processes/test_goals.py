"""The goals that take real processes and real signals, in small: each in a few seconds, on both backends."""

import re
from collections.abc import Callable, Sequence

import pytest

from tests.clock.__main__ import main as clock
from tests.crash.__main__ import main as crash
from tests.lease.__main__ import main as lease
from tests.netfault.__main__ import main as netfault
from tests.processes.stores import STORES
from tests.shutdown.__main__ import main as shutdown

Main = Callable[[Sequence[str]], int]

LINE = re.compile(r"GOAL (R\d+( \w+)?) 0\.00 PASS .*seed=3")


def reached(main: Main, *arguments: str, capsys: pytest.CaptureFixture[str]) -> list[str | None]:
    """Which goals a program says that it has reached."""
    status = main([*arguments, "--seed", "3"])
    printed = capsys.readouterr().out
    assert status == 0, printed
    return [match and match[1] for match in map(LINE.fullmatch, printed.splitlines())]


@pytest.mark.slow
def test_65_a_busy_process_that_is_killed_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert reached(crash, "sqlite", "--cycles", "3", capsys=capsys) == ["R6"]


@pytest.mark.slow
def test_a_server_that_is_killed_and_restarted_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert reached(crash, "redis", "--cycles", "3", capsys=capsys) == ["R8"]


@pytest.mark.slow
def test_a_bad_network_loses_nothing_and_answers_nobody_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    toxics = [word for name in ("reset", "blackhole", "limit_data", "slicer") for word in ("--only", name)]
    goals = ["R9 reset", "R9 blackhole", "R9 limit_data", "R9 slicer"]
    assert reached(netfault, "--seconds", "3", *toxics, capsys=capsys) == goals


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_49_what_is_handled_again_after_a_kill_says_so(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["worker", "--at", "settle", "--store", store, "--cycles", "2"]
    assert reached(crash, *arguments, capsys=capsys) == ["R11"]


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_75_and_76_a_program_ends_in_time_at_one_signal_and_at_once_at_two(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reached(shutdown, "--store", store, "--cycles", "6", capsys=capsys) == ["R14"]


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_66_a_blocked_process_keeps_its_lease_and_a_stopped_one_is_refused(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reached(lease, "--store", store, "--cycles", "2", capsys=capsys) == ["R19 blocked", "R19 stopped"]


@pytest.mark.slow
def test_44_a_step_of_the_wall_clock_makes_nothing_early_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert reached(clock, "--cycles", "2", capsys=capsys) == ["R20"]


@pytest.mark.parametrize(
    "main", [crash, shutdown, lease, clock, netfault], ids=["crash", "shutdown", "lease", "clock", "netfault"]
)
def test_each_program_explains_itself(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--seed" in capsys.readouterr().out
