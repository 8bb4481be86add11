"""SQLite keeps what event modules promise. Its time is the machine's, so the waits are real, and short."""

from pathlib import Path

import pytest

from postroom.modules.sqlite import SqliteModule
from postroom.testing.conformance import Check, World, checks

CAPABILITIES = SqliteModule("never-opened.db").capabilities

pytestmark = pytest.mark.slow


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The real event loops."""
    return str(request.param)


@pytest.mark.parametrize("check", checks(CAPABILITIES), ids=str)
async def test_sqlite(check: Check, tmp_path: Path) -> None:
    await check(World(lambda: SqliteModule(tmp_path / "events.db", lease=1.0), lease=1.0))


@pytest.mark.parametrize("check", [each for each in checks(CAPABILITIES, forgets=True) if each.forgets], ids=str)
async def test_what_sqlite_forgets(check: Check, tmp_path: Path) -> None:
    await check(World(lambda: SqliteModule(tmp_path / "events.db", lease=1.0, window=2.0), lease=1.0, window=2.0))
