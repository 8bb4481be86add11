"""Web servers of a test's own: a process that serves an application on a free port, and a client for it.

Units: seconds.
"""

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

import attrs

from tests.servers.redis import free_port

ROOT: Final = Path(__file__).parents[2]

START_WITHIN: Final = 60.0

SECRET: Final = "the secret of the tests"

Server = tuple[str, ...]

SERVERS: Final[Mapping[str, Server]] = {
    "hypercorn": ("-m", "hypercorn", "-k", "trio", "--graceful-timeout", "5", "--bind"),
    "uvicorn": ("-m", "uvicorn", "--timeout-graceful-shutdown", "5", "--log-level", "warning", "--port"),
}
"""Programs, by name: one on trio, one on asyncio; what is missing at the end is the place."""


@attrs.define(eq=False)
class WebServer:
    """One server; use it in a `with`. It may be ended and started again in between.

    Attributes:
        app: Such as `examples.services.on_starlette:app`.
        server: `hypercorn`, which runs on trio, or `uvicorn`, on asyncio.
        folder: Where its ledger and its log are.
        module: As `SHOP_MODULE`.
    """

    app: str
    server: str
    folder: Path
    module: str = "local"
    port: int = attrs.field(factory=free_port)
    process: "subprocess.Popen[bytes] | None" = attrs.field(default=None, init=False)

    @property
    def ledger(self) -> Path:
        """The file of the example's ledger."""
        return self.folder / "ledger.db"

    @property
    def log(self) -> str:
        """What it has written."""
        return (self.folder / "web.log").read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()  # kindly: a process that is killed can't say which lines it took
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        place = f"127.0.0.1:{self.port}" if self.server == "hypercorn" else str(self.port)
        environment = {
            **os.environ,
            "PYTHONPATH": "runtime:actors:.",
            "SHOP_SECRET": SECRET,
            "SHOP_LEDGER": str(self.ledger),
            "SHOP_MODULE": self.module,
        }
        with (self.folder / "web.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *SERVERS[self.server], place, self.app],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # hypercorn has a process of its own for its worker: they die together
            )
        until = time.monotonic() + START_WITHIN
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{self.server} did not start {self.app}:\n{self.log}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    def end(self, with_signal: int = signal.SIGTERM) -> int | None:
        """End it, and wait until it has ended; returns its status."""
        if self.process is None:
            return None
        if with_signal == signal.SIGKILL:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.poll() is None:
            self.process.send_signal(with_signal)
        status = self.process.wait(START_WITHIN)
        self.process = None
        return status

    def get(self, path: str) -> tuple[int, Any]:
        """Status and body of a GET."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status and body, of JSON, of any request; an underscore in the name of a header stands for a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            read = answer.read()
            is_json = (answer.getheader("content-type") or "").startswith("application/json")
            return answer.status, json.loads(read) if is_json else read
        finally:
            connection.close()

    def post_webhook(self, id: str, body: bytes, secret: str = SECRET, **headers: str) -> tuple[int, Any]:
        """Send a signed webhook."""
        signed = {"x-hub-signature-256": signature(body, secret), "x-github-delivery": id}
        return self.ask("POST", "/hooks/orders", body, **{"content-type": "application/json", **signed, **headers})

    @contextmanager
    def stream(self, path: str) -> "Iterator[Stream]":
        """A block with an open stream of server-sent events; its end is an abrupt one."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            with connection.makefile("rb") as file:
                assert b"200" in file.readline()
                yield Stream(file)


@attrs.define(eq=False)
class Stream:
    """A stream of server-sent events, as its client reads it."""

    _file: Any

    def until(self, mark: str) -> list[str]:
        """All lines up to the first with a mark in it, without what the transfer encoding puts between."""
        lines: list[str] = []
        while True:
            line = self._file.readline()
            assert line, f"the stream ended before {mark!r}; it had {lines}"
            lines.append(line.decode().rstrip())
            if mark in lines[-1]:
                return lines


def signature(body: bytes, secret: str = SECRET) -> str:
    """As a sender makes it."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
