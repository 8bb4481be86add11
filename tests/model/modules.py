"""The event modules on which programs are run, each with a fresh store for each program."""

import itertools
import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import anyio
import attrs

from postroom import Local
from postroom.modules.redis import RedisModule
from postroom.modules.sqlite import SqliteModule
from postroom.testing import virtual_backend
from postroom.testing.reference import ReferenceModule
from tests.servers.redis import RedisServer

from .commands import Program
from .running import Run

ModuleName: TypeAlias = Literal["local", "reference", "sqlite", "redis"]
Backend: TypeAlias = Literal["trio", "asyncio"]

MODULES: Final[tuple[ModuleName, ...]] = get_args(ModuleName)
BACKENDS: Final[tuple[Backend, ...]] = get_args(Backend)
LONGEST: Final = 120.0
LONGEST_VIRTUAL: Final = 10_000.0
"""Seconds for a program."""

FAST: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@attrs.define(eq=False)
class Stage:
    """Where programs are run: what they share is a folder and a server, nothing that they store."""

    folder: Path
    _stack: ExitStack
    _server: RedisServer | None = attrs.field(default=None, init=False)
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count, init=False)

    def run(self, module: ModuleName, backend: Backend, program: Program) -> None:
        """Run a program; raises AssertionError where the module does something else than the model."""
        made, forget = self._made(module)
        is_real = module in ("sqlite", "redis")
        name, options = (backend, {}) if is_real else virtual_backend(backend)

        async def run() -> None:
            with anyio.fail_after(LONGEST if is_real else LONGEST_VIRTUAL):  # one that waits for ever is a difference
                await Run(program, made).run()

        try:
            anyio.run(run, backend=name, backend_options=options)
        finally:
            forget()

    def _made(self, module: ModuleName) -> tuple[Any, Callable[[], object]]:
        number = next(self._numbers)
        if module == "local":
            return Local(), lambda: None
        if module == "reference":
            return ReferenceModule(), lambda: None
        if module == "sqlite":
            path = self.folder / f"{number}.db"
            return SqliteModule(path), lambda: self._remove(f"{number}.db*")
        if self._server is None:
            self._server = self._stack.enter_context(RedisServer())
        return RedisModule(self._server.url, namespace=f"model-{number}"), lambda: None

    def _remove(self, pattern: str) -> None:
        for each in self.folder.glob(pattern):
            each.unlink()


@contextmanager
def open_stage() -> Generator[Stage]:
    """A block with a stage; a Redis server is started with the first program that needs it."""
    with tempfile.TemporaryDirectory(dir=FAST) as folder, ExitStack() as stack:
        yield Stage(Path(folder), stack)
