"""The last page of the tutorial, as it tells it: three processes on Redis, one of which is killed."""

import json
import os
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.servers.redis import redis_server

from .processes import AT_WORK, ROOT, postroom, running

pytestmark = pytest.mark.slow

PAGE: Final = (ROOT / "docs" / "tutorial" / "10-three-processes.md").read_text(encoding="utf-8")
ADDRESS: Final = "redis://127.0.0.1:6379/0"
SOCKETS: Final = ("--control", "shop.sock.1", "--control", "shop.sock.2", "--control", "shop.sock.3")


def test_an_order_is_packed_also_after_one_of_three_processes_was_killed(tmp_path: Path) -> None:
    with redis_server() as server:
        service = PAGE.split("```python\n")[1].split("```")[0]
        assert service.count(ADDRESS) == 1
        (tmp_path / "shop.py").write_text(service.replace(ADDRESS, server.url), encoding="utf-8")

        def asked(*arguments: str) -> Any:
            done = postroom(tmp_path, *arguments, env={"POSTROOM_MODULE": server.url})
            assert done.returncode == 0, done.stderr
            return done.stdout

        def processes() -> list[int]:
            looks = asked("top", "--once", "--interval", "0.1", "--json", *SOCKETS).splitlines()
            return [json.loads(look)["process"] for look in looks]

        with running(tmp_path, "run", "shop:runtime", "--processes", "3", "--control", "shop.sock") as fleet:
            fleet.wait_for(AT_WORK, 3)
            packed = asked("emit", "order.placed", '{"number": 1}', "--wait", "60", "--namespace", "shop")
            assert packed.endswith('warehouse: succeeded after 1 attempt(s): "packed 1"\n')
            row = asked("top", "--once", "--namespace", "shop").splitlines()[-1].split()
            assert row == ["warehouse", "0", "0", "0", "0", "3"]
            before = processes()
            os.kill(before[0], signal.SIGKILL)
            packed = asked("emit", "order.placed", '{"number": 2}', "--wait", "60", "--namespace", "shop")
            assert packed.endswith('warehouse: succeeded after 1 attempt(s): "packed 2"\n')
            fleet.wait_for(AT_WORK, 4)
            after = processes()
            assert before[0] not in after
            assert set(after) > set(before[1:])
            fleet.signal(signal.SIGINT)
            assert fleet.status() == 0
