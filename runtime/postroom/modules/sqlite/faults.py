"""What SQLite's errors mean to whoever asked for something."""

import errno
from typing import Final

import apsw

from postroom.errors import PostroomError
from postroom.store_errors import StoreBroken, StoreBusy, StoreFull

MODULE: Final = "sqlite"

REPAIR: Final = (
    "This call has changed nothing. Restore a backup, or save what can be read with "
    "`sqlite3 FILE .recover | sqlite3 NEW` while nobody uses it."
)

_NO_ROOM: Final = {errno.EFBIG, errno.EDQUOT}
"""Of a write: the file has reached its limit (`ulimit -f`), or its owner has. SQLite knows ENOSPC by itself."""


def is_full(error: BaseException, db: apsw.Connection | None) -> bool:
    """Whether it says that the disk has no room; then nothing was committed, also where it comes from a `COMMIT`.

    A transaction counts from when its last frame is in the log as a whole, and the write that failed was of that frame
    or of one before. Where a sync fails, all of it has been written, and nobody can tell.
    """
    if isinstance(error, apsw.FullError):
        return True
    if not isinstance(error, apsw.IOError):
        return False
    match getattr(error, "extendedresult", 0):
        case apsw.SQLITE_IOERR_SHMSIZE:
            return True
        case apsw.SQLITE_IOERR_WRITE:
            return db is not None and db.system_errno in _NO_ROOM
        case _:
            return False


def translated(error: apsw.Error, path: str, db: apsw.Connection | None = None) -> PostroomError | apsw.Error:
    """What an error of SQLite's is for callers, where nothing was done; itself where it is about one call only.

    Args:
        db: The connection that it comes from, which knows what the system said.
    """
    if is_full(error, db):
        return StoreFull(MODULE, f"there is no room for {path} ({error})")
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return StoreBusy(MODULE, f"another process kept {path} locked")
        case apsw.NotADBError():
            return StoreBroken(MODULE, f"{path} is not a database ({error})", REPAIR)
        case apsw.CorruptError():
            return StoreBroken(MODULE, f"{path} is damaged ({error})", REPAIR)
        case apsw.CantOpenError():
            return StoreBroken(MODULE, f"{path} can't be opened ({error})", "Look at the folder and its permissions.")
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            return StoreBroken(MODULE, f"{path} can't be written ({error})", "Look at its permissions and the disk.")
        case apsw.IOError():
            return StoreBroken(MODULE, f"{path}: {error}", "Look at the disk and the system's log.")
        case _:
            return error
