"""Log lines that never fail whoever writes them."""

import logging
import warnings
from typing import Any, Final

_log: Final = logging.getLogger("postroom")


def warn(text: str, *args: object) -> None:
    """Log a warning. A log handler of the user's that raises is told of by a Python warning, and changes nothing."""
    try:
        _log.warning(text, *args, stacklevel=2)
    except Exception as error:
        _tell_of(error)


class SafeAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger for handlers of events: where a log handler raises, the handler of the event goes on."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log one line; what the methods named after levels call as well."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            super().log(level, msg, *args, **kwargs)
        except Exception as error:
            _tell_of(error)


def _tell_of(error: Exception) -> None:
    try:
        warnings.warn(f"a logging handler or filter raised {type(error).__name__}", RuntimeWarning, stacklevel=3)
    except Warning:  # where warnings are errors, this one would end up in what went on well
        return
