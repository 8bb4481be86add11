"""Webhooks under load, in small."""

import itertools

import pytest

from tests.webhooks.__main__ import main

RUNS = [("local", "none"), ("local", "term"), *itertools.product(("sqlite", "redis"), ("term", "kill"))]


@pytest.mark.slow
@pytest.mark.parametrize(("module", "stop"), RUNS)
@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
def test_what_was_accepted_is_handled_once_whatever_happens_to_the_service(
    server: str, module: str, stop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--server", server, "--module", module, "--stop", stop, "--deliveries", "60", "--seed", "3"]
    status = main(asked)
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert printed.startswith(f"GOAL W starlette {server} {module} {stop} 0.00 PASS")
