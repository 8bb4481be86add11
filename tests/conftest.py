"""Every async test runs on trio and on asyncio, in virtual time."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from postroom.testing import virtual_backend

# The same examples in every run, and none fails for taking long on a busy machine.
settings.register_profile("postroom", derandomize=True, deadline=None, print_blob=True)
# `--hypothesis-profile=nightly`, for tests/model: other programs every night.
settings.register_profile("nightly", max_examples=20_000, deadline=None, print_blob=True)
settings.load_profile("postroom")


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _same_log_as_before() -> Iterator[None]:
    """What frameworks set up for a whole process ends with the test: Litestar says how the root logger logs."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
