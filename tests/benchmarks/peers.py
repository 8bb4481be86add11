"""BullMQ on the same server, and several processes of postroom, for the benchmark of the Redis module.

BullMQ comes from npm, at the versions of `bullmq/package.json`, into a temporary folder.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from tests.processes.child import Child, end_all
from tests.servers.redis import RedisServer

BULLMQ: Final = Path(__file__).parent / "bullmq"

INSTALL_WITHIN: Final = 300.0


class NoPeer(Exception):
    """BullMQ can't be had here."""


@contextmanager
def bullmq() -> Iterator[Path]:
    """A block with a folder in which BullMQ is installed.

    Raises:
        NoPeer: there is no node or npm, or npm does not get it.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NoPeer("node and npm are not on PATH")
    with tempfile.TemporaryDirectory(prefix="postroom-bullmq-") as text:
        folder = Path(text)
        for name in ("package.json", "bench.mjs"):
            shutil.copy(BULLMQ / name, folder / name)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=INSTALL_WITHIN, check=False)
        if done.returncode:
            raise NoPeer(f"npm install has failed: {(done.stderr or done.stdout).decode(errors='replace')[-300:]}")
        yield folder


def bullmq_turn(folder: Path, port: int, events: int, size: int) -> dict[str, float]:
    """Events a second that BullMQ adds in bulk, and that a worker of concurrency 100 handles."""
    command = ["node", "bench.mjs", str(port), str(events), str(size)]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=INSTALL_WITHIN, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@attrs.define(eq=False)
class Handling:
    """Processes at work.

    Attributes:
        cpu: Seconds that they and the server have used, once the block has ended.
    """

    cpu: float = 0.0


@contextmanager
def open_handling(server: RedisServer, namespace: str, events: int, processes: int, backend: str) -> Iterator[Handling]:
    """A block in which so many processes handle what is emitted in a namespace; its end waits until that is all."""
    handling = Handling()
    children: list[Child] = []
    with tempfile.TemporaryDirectory() as text:
        stop = Path(text) / "stop"
        try:
            for number in range(processes):
                arguments = (server.url, namespace, backend, stop)
                children.append(Child("tests.benchmarks.handling", Path(text), f"h{number}", arguments))
            for child in children:
                child.wait_for("ready")
            before = cpu_of(server)
            yield handling
            while sum(_numbers(children, "handled")) < events:
                time.sleep(0.02)
            handling.cpu = cpu_of(server) - before
            stop.touch()
            for child in children:
                child.status()
            handling.cpu += sum(_numbers(children, "cpu"))
        finally:
            end_all(children)


def _numbers(children: list[Child], word: str) -> list[float]:
    return [float(line.what) for child in children for line in child.said() if line.word == word]


def cpu_of(server: RedisServer) -> float:
    """CPU seconds that the server has used."""
    info = server.ask("INFO", "cpu").decode()
    values = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    return float(values["used_cpu_user"]) + float(values["used_cpu_sys"])
