"""How hypothesis runs here: deterministic, and few examples each, since every test runs on both backends."""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import anyio
from hypothesis import HealthCheck, Phase, settings

from postroom.testing import virtual_backend

T = TypeVar("T")

Library = Literal["trio", "asyncio"]
LIBRARIES: Final[tuple[Library, ...]] = ("trio", "asyncio")

quick: Final = settings(
    max_examples=40,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    print_blob=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),  # explaining a failure takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def run(library: Library, main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in virtual time: hypothesis calls plain functions."""
    backend, options = virtual_backend(library)
    return anyio.run(main, backend=backend, backend_options=options)
