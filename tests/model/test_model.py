"""R16: the same programs on every event module, and on a model of what has to come of them, come out the same."""

from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, settings

from .commands import Program, programs
from .modules import BACKENDS, MODULES, Backend, ModuleName, Stage, open_stage

EXAMPLES: Final = 20
"""In every run of the tests; `python -m tests.model` has those of the goal, and the profile `nightly` more."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage() as opened:
        yield opened


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("module", MODULES)
def test_every_module_does_what_the_model_does(module: ModuleName, backend: Backend, stage: Stage) -> None:
    is_nightly = settings.get_current_profile_name() == "nightly"

    @settings(max_examples=settings().max_examples if is_nightly else EXAMPLES)
    @given(program=programs)
    def run(program: Program) -> None:
        stage.run(module, backend, program)

    run()
