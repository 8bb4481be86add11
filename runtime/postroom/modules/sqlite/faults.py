"""What SQLite's errors mean to whoever asked for something."""

from typing import Final

import apsw

from postroom.errors import PostroomError
from postroom.store_errors import StoreBroken, StoreBusy, StoreFull

MODULE: Final = "sqlite"

REPAIR: Final = (
    "This call has changed nothing. Restore a backup, or save what can be read with "
    "`sqlite3 FILE .recover | sqlite3 NEW` while nobody uses it."
)

_NO_SPACE: Final = {apsw.SQLITE_IOERR_SHMSIZE}


def is_full(error: BaseException) -> bool:
    """Whether it says that the disk has no room."""
    return isinstance(error, apsw.FullError) or (
        isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) in _NO_SPACE
    )


def translated(error: apsw.Error, path: str) -> PostroomError | apsw.Error:
    """What an error of SQLite's is for callers, where nothing was done; itself where it is about one call only."""
    if is_full(error):
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
