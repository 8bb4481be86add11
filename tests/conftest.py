"""Every async test runs on trio and on asyncio, in virtual time."""

from typing import Any

import pytest

from postroom.testing import virtual_backend


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)
