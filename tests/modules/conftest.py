"""Stores on real files have threads, so their tests take real time, on trio and on asyncio."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A disk in memory, where there is one: these tests are not about the disk."""


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture
def path() -> Iterator[Path]:
    """Where a file may be made."""
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder) / "events.db"
