"""Several processes, or sessions of one, open a new file at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from postroom.modules.sqlite.opening import open_database

pytestmark = pytest.mark.slow


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / f"{number}.db"
        with ThreadPoolExecutor(8) as threads:
            opened = [threads.submit(open_database, path, "process") for _ in range(8)]
            for each in opened:
                each.result().close()
