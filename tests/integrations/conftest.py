"""What frameworks set up for a whole process ends with the test."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _same_log_as_before() -> Iterator[None]:
    """Litestar says how the root logger logs."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
