"""Exit statuses, the same for every command."""

import errno
from typing import Final

DONE: Final = 0
"""What was asked for is so."""
NOT_DONE: Final = 1
"""It was tried, and is not so: a handler failed, a letter is not there, a stop was not clean."""
USAGE: Final = 2
"""It could not be tried: wrong arguments, a service that can't be loaded, a store or socket that can't be used."""
INTERRUPTED: Final = 130
"""Ctrl-C; likewise 143 for SIGTERM and 129 for SIGHUP, in commands other than `run`."""
PIPE_CLOSED: Final = 141
"""Whoever read the output has closed it."""

UNWRITABLE: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of the system that are about the output, not about the command."""


class Refused(Exception):
    """A command ends, with one line that says why, and a status."""

    def __init__(self, text: str, status: int = USAGE) -> None:
        super().__init__(text)
        self.status = status
