"""The log of a service that `postroom run` runs, unless it has set up one of its own."""

import copy
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from .output import as_json, safe, safe_lines, without_secrets

NAMES: Final = ("event_id", "event_name", "subscription", "attempt", "cause")

LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class SafeFormatter(logging.Formatter):
    """A line for each record, and one for each line of a traceback; none of them steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        record.exc_text = None  # another handler's text, which may be kept there, is not ours
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return safe(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return safe_lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return safe_lines(stack_info)


class JsonFormatter(logging.Formatter):
    """An object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        value: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": safe(record.getMessage()),
        }
        value |= {name: found for name in NAMES if (found := getattr(record, name, None)) is not None}
        if record.exc_info:
            value["traceback"] = self.formatException(record.exc_info)
        return as_json(without_secrets(value))


def set_up(level: str, *, json: bool) -> None:
    """Write records to standard error, where nobody has said otherwise."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if json else SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(level.upper())
