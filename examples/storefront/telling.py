"""Lines on standard error: what goes wrong, and what postroom logs about it."""

import logging
import sys
from typing import Final

from .shop import MailServerBusy
from .stock import ClerkFainted

ON_PURPOSE: Final = frozenset({MailServerBusy.__name__, ClerkFainted.__name__})
"""What fails because it was told to, up to thousands of times: the report counts it."""


def say(text: str) -> None:
    """Print one line, if somebody can still hear it."""
    if sys.stderr is not None:  # else `print` would fall back to standard output
        try:
            print(text, file=sys.stderr, flush=True)
        except OSError:
            sys.stderr = None  # nobody reads it; that must not end the work


class Teller(logging.Handler):
    """Says what is logged, but for what fails on purpose."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self.who = who

    def emit(self, record: logging.LogRecord) -> None:
        reasons = record.args if isinstance(record.args, tuple) else ()
        if ON_PURPOSE.isdisjoint(map(str, reasons)):
            say(f"{self.who}: {record.getMessage()}")


def tell_of_postroom(who: str) -> None:
    """Say what postroom logs as a warning or worse, such as a store without room: else a run that waits looks dead."""
    log = logging.getLogger("postroom")
    log.setLevel(logging.WARNING)
    log.addHandler(Teller(who))
