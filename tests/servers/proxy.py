"""A TCP proxy that does to connections what networks do; in threads, so that no event loop is part of it."""

import contextlib
import random
import socket
import ssl
import threading
import time
from typing import Any, Self

import attrs


@attrs.define(eq=False)
class Proxy:
    """Between clients and a server on this machine; use it in a `with`.

    Attributes:
        tls: With it, clients speak TLS to the proxy.
        swallow: Nothing gets through, in either direction, though connections stand and are accepted.
        refuse: New connections end at once.
        delay: Seconds that each reply takes longer.
        jitter: More seconds at the most, another number for each reply.
        rate: Bytes a second, in each direction of each connection; None for no limit.
        slice: Bytes that are passed on at a time; None for as they come.
        lose: Replies to requests that have these bytes in them are lost, so many times, with their connection; in
            mid-reply, where `half` is set.
    """

    target: int
    tls: ssl.SSLContext | None = None
    swallow: bool = attrs.field(default=False, init=False)
    refuse: bool = attrs.field(default=False, init=False)
    delay: float = attrs.field(default=0.0, init=False)
    jitter: float = attrs.field(default=0.0, init=False)
    rate: float | None = attrs.field(default=None, init=False)
    slice: int | None = attrs.field(default=None, init=False)
    lose: tuple[bytes, int] = attrs.field(default=(b"", 0), init=False)
    half: bool = attrs.field(default=False, init=False)
    connections: int = attrs.field(default=0, init=False)
    _listener: socket.socket = attrs.field(init=False)
    _sockets: list[socket.socket] = attrs.field(factory=list, init=False)
    _threads: list[threading.Thread] = attrs.field(factory=list, init=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"redis{'s' if self.tls else ''}://localhost:{self.port}/0"

    def heal(self) -> None:
        """Be a good network again; connections that suffered are ended."""
        self.swallow = self.refuse = self.half = False
        self.delay = self.jitter = 0.0
        self.slice = self.rate = None
        self.lose = (b"", 0)
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            _close(each)

    def _start(self, run: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                _close(client)
                continue
            self.connections += 1
            self._start(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        try:
            if self.tls is not None:
                client = self.tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets += [client, server]
        asked = _Asked()
        self._start(self._pump, client, server, asked, True)
        self._start(self._pump, server, client, asked, False)

    def _pump(self, source: socket.socket, sink: socket.socket, asked: "_Asked", is_request: bool) -> None:
        try:
            while data := source.recv(65536):
                if self.swallow:
                    continue
                if is_request:
                    asked.last = (asked.last + data)[-200_000:]
                elif not self._pass_reply(data, sink, asked):
                    break
                self._send(sink, data) if is_request else None
        except OSError:
            pass
        finally:
            _close(source)
            _close(sink)

    def _pass_reply(self, data: bytes, sink: socket.socket, asked: "_Asked") -> bool:
        marker, times = self.lose
        if times and marker in asked.last:
            self.lose = (marker, times - 1)
            if self.half:
                sink.sendall(data[: len(data) // 2])
            return False
        asked.last = b""
        if self.delay or self.jitter:
            time.sleep(self.delay + random.uniform(0.0, self.jitter))
        self._send(sink, data)
        return True

    def _send(self, sink: socket.socket, data: bytes) -> None:
        if self.rate is not None:
            time.sleep(len(data) / self.rate)
        step = self.slice or len(data)
        for at in range(0, len(data), step):
            sink.sendall(data[at : at + step])


@attrs.define(eq=False)
class _Asked:
    """What was asked on a connection and not answered."""

    last: bytes = b""


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
