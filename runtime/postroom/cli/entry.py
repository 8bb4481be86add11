"""The door: what has to hold for every command, and before any library of the extra is there."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from .statuses import INTERRUPTED, NOT_DONE, PIPE_CLOSED, UNWRITABLE, USAGE

LIBRARIES: Final = ("cyclopts", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status.

    Args:
        arguments: Those of the process where none are given.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal's encoding may lack what a name has
            stream.reconfigure(errors="backslashreplace")
    try:
        from .app import run_command
    except ModuleNotFoundError as error:
        if error.name not in LIBRARIES:
            raise
        print(  # noqa: T201 - there is nothing else to say it with
            f"postroom: the command line needs the package `{error.name}`: pip install '.[cli]' in its clone",
            file=sys.stderr,
        )
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    try:
        status = run_command(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to write goes nowhere
        if error.errno == errno.EPIPE:  # whoever read, such as `head`, has seen enough
            return PIPE_CLOSED
        print(f"postroom: the output can't be written: {error.strerror}", file=sys.stderr)  # noqa: T201 - as above
        return NOT_DONE
    return status
