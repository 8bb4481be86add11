"""The pytest plugin: the fixtures `open_runtime` and `recorder`, under the entry point `postroom`.

Both are plain fixtures that start nothing by themselves, so they work in tests of pytest-trio, of anyio's plugin and
of any other. Nothing of a project that does not ask for them changes.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest

from postroom.runtime import Runtime

from .opening import open_runtime as _open_runtime
from .recorder import Recorder


@pytest.fixture
def recorder() -> Recorder:
    """Records the runtimes that `open_runtime` opens in this test."""
    return Recorder()


@pytest.fixture
def open_runtime(recorder: Recorder) -> "Callable[..., AbstractAsyncContextManager[Runtime]]":
    """Opens runtimes for tests: `async with open_runtime(mailer, ledger) as runtime`. See `postroom.testing`."""
    opening: Callable[..., AbstractAsyncContextManager[Any]] = partial(_open_runtime, recorder=recorder)
    return opening
