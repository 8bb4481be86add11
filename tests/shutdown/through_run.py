"""A child that becomes `postroom run` of the service: the same process, so that signals reach it.

Run: python -m tests.shutdown.through_run NAME FILE BACKEND GRACE HANDLERS LONGEST SEED
"""

import json
import os
import sys
from pathlib import Path
from typing import Final

WANTED: Final = "SHUTDOWN_WANTED"
"""Names the environment variable with the arguments, as JSON."""

ERRORS: Final = "stderr"
"""The name of the file, beside that of the events, in which standard error is."""

if __name__ == "__main__":
    _, name, path, backend, grace, handlers, longest, seed = sys.argv
    os.environ[WANTED] = json.dumps([name, path, float(grace), int(handlers), float(longest), int(seed)])
    os.dup2(os.open(Path(path).parent / ERRORS, os.O_WRONLY | os.O_CREAT, 0o600), 2)
    run = ["-m", "postroom", "run", "tests.shutdown.service:make", "--backend", backend]
    os.execv(sys.executable, [sys.executable, *run])
