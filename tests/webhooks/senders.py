"""Senders of webhooks: threads that post, repeat and misbehave, and remember what they were answered.

Units: bytes of bodies; seconds.
"""

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs

from tests.servers.web import WebServer, signature

SIZES: Final = (200, 200, 200, 1_000, 1_000, 10_000, 100_000, 1024 * 1024)

ACCEPTED: Final = (200, 202)

PATIENCE: Final = 60.0


@attrs.define(eq=False)
class Senders:
    """What several threads send to one server, which may go away and come back.

    Attributes:
        repeated: What a repeated one may be answered with.
        accepted: Delivery ids that were answered with 2xx, with the number of the order.
        refused: Delivery ids that must not be in the ledger.
        statuses: How often each was answered, by what was sent.
        wrong: What was answered otherwise than documented.
    """

    web: WebServer
    seed: int
    deliveries: int
    repeated: tuple[int, ...] = (200,)
    threads: int = 6
    accepted: dict[str, int] = attrs.field(factory=dict, init=False)
    refused: set[str] = attrs.field(factory=set, init=False)
    statuses: Counter[tuple[str, int]] = attrs.field(factory=Counter, init=False)
    wrong: list[str] = attrs.field(factory=list, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _running: list[threading.Thread] = attrs.field(factory=list, init=False)

    def start(self) -> None:
        """Begin to send."""
        for thread in range(self.threads):
            self._running.append(threading.Thread(target=self._send_all, args=(thread,)))
            self._running[-1].start()

    def wait(self) -> None:
        """Wait until all is sent."""
        for thread in self._running:
            thread.join()

    @property
    def sent(self) -> int:
        """Deliveries that are done with."""
        return len(self.accepted) + len(self.refused)

    @property
    def told(self) -> str:
        """How often each kind was answered with each status, 0 for no answer, in one word."""
        counts = [f"{kind.replace(' ', '-')}={status}x{n}" for (kind, status), n in sorted(self.statuses.items())]
        return ",".join(counts)

    def _send_all(self, thread: int) -> None:
        chance = random.Random(f"{self.seed} {thread}")
        for number in range(thread, self.deliveries, self.threads):
            try:
                self._send(chance, number)
            except Exception as error:  # a thread that ends early would hide what the others see
                self._is_wrong(f"delivery-{number}: {type(error).__name__}: {error}")

    def _send(self, chance: random.Random, number: int) -> None:
        id = f"delivery-{number}"
        kind = chance.choices(("good", "repeated", "forged", "cut off", "oversized"), (60, 20, 8, 6, 6))[0]
        body = order(number, 1024 * 1024 + 1 if kind == "oversized" else chance.choice(SIZES))
        if kind in ("good", "repeated"):
            self._until_accepted(id, number, body)
            if kind == "repeated":
                self._expect("repeated", id, self.repeated, lambda: self.web.post_webhook(id, body)[0])
            return
        with self._lock:
            self.refused.add(id)
        if kind == "forged":
            self._expect(kind, id, (401,), lambda: self.web.post_webhook(id, body, secret="guessed")[0])
        elif kind == "oversized":
            self._expect(kind, id, (413,), lambda: self.web.post_webhook(id, body)[0])
        else:
            self._cut_off(id, body)

    def _until_accepted(self, id: str, number: int, body: bytes) -> None:
        status = self._expect("good", id, ACCEPTED, lambda: self.web.post_webhook(id, body)[0])
        if status in ACCEPTED:
            with self._lock:
                self.accepted[id] = number

    def _expect(self, kind: str, id: str, good: tuple[int, ...], send: Callable[[], int]) -> int:
        """Send again while nobody answers, or answers that it is busy; a body that is large may be cut by a closing
        server."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                status = send()
            except OSError:
                status = 0
            except Exception as error:  # half an answer, of a server that was killed
                if "http.client" not in type(error).__module__:
                    raise
                status = 0
            with self._lock:
                self.statuses[kind, status] += 1
            if status in good:
                return status
            if status not in (0, 503) or time.monotonic() > until:
                self._is_wrong(f"{id} ({kind}) was answered with {status}")
                return status
            time.sleep(0.05)

    def _cut_off(self, id: str, body: bytes) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self.web.port), 10) as connection:
                head = (
                    f"POST /hooks/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                    f"x-hub-signature-256: {signature(body)}\r\nx-github-delivery: {id}\r\n"
                    f"content-length: {len(body)}\r\n\r\n"
                )
                connection.sendall(head.encode() + body[: len(body) // 2])
                connection.shutdown(socket.SHUT_WR)
                answer = connection.makefile("rb").readline().split()
        except OSError:
            answer = []
        status = int(answer[1]) if len(answer) > 1 else 0
        with self._lock:
            self.statuses["cut off", status] += 1
        if status not in (0, 400, 503):
            self._is_wrong(f"{id} (cut off) was answered with {status}")

    def _is_wrong(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)


def order(number: int, size: int) -> bytes:
    """The body of a webhook, so large."""
    empty = json.dumps({"number": number, "note": ""}).encode()
    return json.dumps({"number": number, "note": "x" * max(0, size - len(empty))}).encode()
