"""`SqliteModule`: which file, and what is promised of it."""

import importlib.util
import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from postroom.capabilities import Capability
from postroom.checks import seconds
from postroom.contract import Store
from postroom.errors import InvalidOption
from postroom.store_errors import StoreBroken

from .times import MachineClock, machine_clock

if TYPE_CHECKING:
    from .worker import Settings

MODULE: Final = "sqlite"


def _as_path(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike) or not (text := os.fspath(value)):
        raise InvalidOption("path", value, "must be the path of a file")
    if isinstance(text, bytes) or "\0" in text or text == ":memory:" or text.startswith("file:"):
        raise InvalidOption("path", value, "must be the path of a file, not a name that only SQLite knows")
    path = Path(text).absolute()
    if not path.name:
        raise InvalidOption("path", value, "must be the path of a file, not of a folder")
    return path


def _check_durability(_instance: object, _attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value not in ("process", "power"):
        raise InvalidOption("durability", value, "must be 'process' or 'power'")


def _check_flag(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidOption(attribute.name, value, "must be True or False")


@attrs.frozen(eq=False)
class SqliteModule:
    """An event module on one SQLite file: events survive their process, and the machine's processes share them.

    Attributes:
        path: Of the file; made where there is none. It must be on a disk of this machine. Beside it are its
            write-ahead log (`-wal`, `-shm`) and, while it is used, a folder (`-wake`).
        durability: What an accepted event survives: the end of any `process`, at any instant, or also a loss of
            `power`, which makes each commit wait for the disk.
        lease: Seconds after which others take over what a process has, once it does not show up any more.
        window: Seconds for which an id of the user's own stands for the same event.
        keep: Seconds for which settled events stay in the file, to be looked at; None for not at all.
        busy_timeout: Seconds for which a call waits while other processes write.
        strict: Refuse to open where the file or its folder is a symbolic link, or others may write into the folder.
    """

    path: Path = attrs.field(converter=_as_path)
    durability: Literal["process", "power"] = attrs.field(default="process", validator=_check_durability, kw_only=True)
    lease: float = attrs.field(default=15.0, validator=seconds(above=True), kw_only=True)
    window: float = attrs.field(default=600.0, validator=seconds(), kw_only=True)
    keep: float | None = attrs.field(default=None, validator=seconds(optional=True), kw_only=True)
    busy_timeout: float = attrs.field(default=5.0, validator=seconds(), kw_only=True)
    strict: bool = attrs.field(default=False, validator=_check_flag, kw_only=True)
    _clock: MachineClock = attrs.field(factory=machine_clock, kw_only=True, repr=False)
    name: str = attrs.field(default=MODULE, init=False)
    capabilities: frozenset[Capability] = attrs.field(
        default=frozenset(Capability) - {Capability.NOWAIT}, init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        if importlib.util.find_spec("apsw") is None:
            raise StoreBroken(
                MODULE, "the package `apsw` is not installed", "Install it: `pip install '.[sqlite]'` in the clone."
            )

    def open(self, session: str) -> AbstractAsyncContextManager[Store]:
        """A block with one session on the file; its lease is renewed from a thread of its own.

        Leaving the block ends the session: what it was lent is available again at once, without a loss.

        Args:
            session: Unique, for all time.

        Raises:
            StoreBroken: the file can't be used; what it is, where, and what to do.
            StoreBusy, StoreFull: not now.

        Cancellation: there is no session.
        """
        from .session import open_session  # apsw is not wanted before a file is opened

        return open_session(self._settings(), session)

    def _settings(self) -> "Settings":
        from .opening import check_folder
        from .transaction import Terms
        from .worker import Settings

        if self.strict:
            check_folder(self.path)
        return Settings(
            path=self.path,
            durability=self.durability,
            busy_timeout=self.busy_timeout,
            clock=self._clock,
            terms=Terms(lease=self.lease, window=self.window, keep=self.keep),
        )
