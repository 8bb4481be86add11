"""Log lines about what was let pass: writing one never fails whoever writes it."""

import logging
import warnings
from typing import Final

_log: Final = logging.getLogger("postroom")


def warn(text: str, *args: object) -> None:
    """Log a warning. A log handler of the user's that raises is told of by a Python warning, and changes nothing."""
    try:
        _log.warning(text, *args, stacklevel=2)
    except Exception as error:
        try:
            warnings.warn(f"a logging handler or filter raised {type(error).__name__}", RuntimeWarning, stacklevel=2)
        except Warning:  # where warnings are errors, this one would end up in what went on well
            return
