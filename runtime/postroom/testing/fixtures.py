"""Fixtures to import into a `conftest.py`: what would change a project's tests unasked if the plugin had them."""

from typing import Any, Literal

import pytest

from .virtual_time import virtual_backend


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """For anyio's plugin: each async test runs on trio and on asyncio, in virtual time."""
    library: Literal["trio", "asyncio"] = request.param
    return virtual_backend(library)
