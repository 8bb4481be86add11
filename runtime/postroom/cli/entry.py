"""The door: what has to hold for every command, and before any library of the extra is there."""

import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from .statuses import INTERRUPTED, PIPE_CLOSED, USAGE

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
            f"postroom: the command line needs the package `{error.name}`: pip install 'postroom[cli]'",
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
    except BrokenPipeError:  # whoever read, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return status
