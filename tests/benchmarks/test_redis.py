"""The benchmark of the Redis module runs, whatever its figures are."""

import pytest

from tests.benchmarks.redis import measure


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_every_figure_is_measured(backend: str) -> None:
    figures = measure(1000, 1, backend, 200)
    assert len(figures) == 10
    assert all(value > 0 for value in figures.values())
