"""A signal that interrupts no wait of the main thread is heard all the same."""

from pathlib import Path

import pytest

from .processes import AT_WORK, running

pytestmark = pytest.mark.slow

SERVICE = """
import signal, sys, threading, time
from pathlib import Path
from postroom import Runtime

def place() -> object:
    frame = sys._current_frames()[threading.main_thread().ident]
    return id(frame), frame.f_lasti

def kill() -> None:
    while not Path("at work").exists():
        time.sleep(0.01)
    places = []
    while len(places) < 20 or len({*places[-20:]}) > 1:  # until the main thread waits for input
        places.append(place())
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    time.sleep(1000)

def runtime() -> Runtime:
    threading.Thread(target=kill, daemon=True).start()
    return Runtime(watchdog=None)
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio", "uvloop"])
def test_a_signal_that_another_thread_got_ends_a_quiet_service(tmp_path: Path, backend: str) -> None:
    (tmp_path / "killed.py").write_text(SERVICE)
    with running(tmp_path, "run", "killed:runtime", "--backend", backend) as service:
        service.wait_for(AT_WORK)
        (tmp_path / "at work").touch()
        service.wait_for("draining")
        assert service.status() == 0
