"""Opening the file: what is refused, who may read it, and how a connection is set up."""

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias
from uuid import uuid4

import apsw

from postroom.store_errors import StoreBroken

from .faults import MODULE, REPAIR, translated
from .schema import migrate, version_of

Durability: TypeAlias = Literal["process", "power"]

SYNCHRONOUS: Final = {"process": "NORMAL", "power": "FULL"}

WAL_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that the write-ahead log keeps on disk once it was larger."""

OPENS_WITHIN: Final = 5.0
"""Seconds for which a file that others are opening is tried."""

CACHED_STATEMENTS: Final = 256


def check_version(version: str) -> None:
    """Raises StoreBroken for releases of SQLite that may lose a commit when two connections meet at a checkpoint.

    Source: the WAL-reset race, in SQLite 3.7.0 to 3.51.2 but for 3.44.6 and 3.50.7 and what follows those two.
    """
    parts = tuple(int(part) for part in version.split(".")[:3])
    is_good = parts >= (3, 51, 3) or (3, 44, 6) <= parts < (3, 45, 0) or (3, 50, 7) <= parts < (3, 51, 0)
    if not is_good:
        raise StoreBroken(
            MODULE,
            f"SQLite {version} can lose what two processes write at once (its WAL-reset race)",
            "Install `apsw` 3.51.3 or newer, which carries its own SQLite.",
        )


def check_folder(path: Path) -> None:
    """Raises StoreBroken where somebody else could put another file in this one's place."""
    folder = path.parent
    for each in (folder, path):
        if each.is_symlink():
            raise StoreBroken(MODULE, f"{each} is a symbolic link", "Give the real path, or leave out `strict=True`.")
    with suppress(FileNotFoundError):
        if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StoreBroken(
                MODULE, f"others may write into {folder}", "Take that right away (`chmod go-w`), or `strict=True`."
            )


def make_private_file(path: Path) -> None:
    """Make the file where there is none, readable by its owner only; one that is there and empty becomes so.

    It is made under another name and linked: closing a file takes away the locks that this process has on it, so
    nobody may have it open yet.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _not_made(path, error) from error
    else:
        if stat.S_ISDIR(found.st_mode):
            raise StoreBroken(MODULE, f"{path} is a folder", "Give the path of a file, which may be one in it.")
        if not found.st_size and stat.S_ISREG(found.st_mode):
            with suppress(OSError):  # somebody else's; whether we may write there is seen at once
                path.chmod(0o600)
        return
    scratch = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            with suppress(FileExistsError):
                os.link(scratch, path)
        finally:
            scratch.unlink()
    except OSError as error:
        raise _not_made(path, error) from error


def _not_made(path: Path, error: OSError) -> StoreBroken:
    return StoreBroken(
        MODULE, f"{path} can't be made ({error.strerror})", "Make its folder, and let this user write there."
    )


def open_database(path: Path, durability: Durability) -> apsw.Connection:
    """A connection, set up, to a file that has this release's tables.

    Raises:
        StoreBroken: see the contract.
        StoreBusy: others kept it locked.
    """
    check_version(apsw.sqlite_lib_version())
    make_private_file(path)
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=CACHED_STATEMENTS)
    except apsw.Error as error:
        raise translated(error, str(path)) from error
    try:
        _prepare(db, path, durability)
    except apsw.Error as error:
        ours = translated(error, str(path), db)
        db.close(True)
        if isinstance(ours, apsw.Error):  # such as a header that does not go with the tables
            ours = StoreBroken(MODULE, f"{path} can't be made ready ({error})", REPAIR)
        raise ours from error
    except BaseException:
        db.close(True)
        raise
    return db


def _prepare(db: apsw.Connection, path: Path, durability: Durability) -> None:
    """Set it up. While others do so with a new file, SQLite doesn't always wait by itself."""
    give_up = time.monotonic() + OPENS_WITHIN
    while True:
        try:
            _check_whose(db, path)
            set_up(db, durability)
            migrate(db, str(path))
            return
        except apsw.BusyError:
            if time.monotonic() > give_up:
                raise
        time.sleep(0.01)  # in a thread of the session's own


def _check_whose(db: apsw.Connection, path: Path) -> None:
    """Another program's file stays as it is. Looked at in one transaction: others may be making this one meanwhile."""
    db.execute("BEGIN")
    try:
        version_of(db, str(path))
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def set_up(db: apsw.Connection, durability: Durability) -> None:
    """What holds for a connection, not for the file, but for the mode of the journal."""
    db.set_busy_timeout(int(OPENS_WITHIN * 1000))  # until the worker's own way of waiting is in place
    # Else a plan depends on what is bound wherever a table has a partial index, and each statement on it is compiled
    # anew each time: a fetch was measured to take three times as long.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    if (mode := db.execute("PRAGMA journal_mode = WAL").get) != "wal":
        raise StoreBroken(
            MODULE,
            f"{db.filename} can't have a write-ahead log, only {mode!r}",
            "Put it on a disk of this machine: network file systems don't share memory.",
        )
    db.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
    db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
    db.execute("PRAGMA cache_size = -16000")
    db.execute("PRAGMA temp_store = MEMORY")


def identity_of(path: Path) -> tuple[int, int]:
    """Which file is at this path now.

    Raises:
        OSError: none.
    """
    found = os.stat(path)
    return found.st_dev, found.st_ino
