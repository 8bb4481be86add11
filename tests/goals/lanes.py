"""Programs beside each other: as many at a time as there are lanes, each one's output in one piece."""

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import attrs


@attrs.frozen
class Done:
    """A program that has ended.

    Attributes:
        status: Its exit status.
        output: What it printed, on both streams, in its order.
    """

    arguments: Sequence[str]
    status: int
    output: str
    seconds: float


def run(arguments: Sequence[str]) -> Done:
    """Run Python with these arguments, to its end."""
    started = time.perf_counter()
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Done(arguments, done.returncode, done.stdout, time.perf_counter() - started)


def run_beside(programs: Iterable[Sequence[str]], lanes: int, tell: Callable[[Done], None]) -> list[Done]:
    """Run all of them, in their order, and tell of each as soon as it has ended."""
    waiting = deque(programs)
    ended: list[Done] = []
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                arguments = waiting.popleft()
            done = run(arguments)
            with lock:
                ended.append(done)
                tell(done)

    workers = [threading.Thread(target=work, name=f"lane {number}") for number in range(lanes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return ended
