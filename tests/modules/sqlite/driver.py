"""Sessions on a SQLite file without threads and with a clock of the test's: each call is one transaction."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs

from postroom.contract import Binding
from postroom.modules.sqlite.lives import begin, end, look
from postroom.modules.sqlite.opening import open_database
from postroom.modules.sqlite.operating import bind
from postroom.modules.sqlite.times import MachineClock
from postroom.modules.sqlite.transaction import Terms, Transaction

T = TypeVar("T")

EPOCH = 1_700_000_000.0


@attrs.define(eq=False)
class HandClock:
    """A clock that goes on when it is told to.

    Attributes:
        now: Seconds since the machine's start.
        stepped: How far somebody has set the wall clock.
    """

    now: float = 0.0
    stepped: float = 0.0

    def machine(self, boot: str = "first start") -> MachineClock:
        return MachineClock(lambda: self.now, lambda: EPOCH + self.now + self.stepped, boot)


@attrs.define(eq=False)
class Driver:
    """One session on a file."""

    path: Path
    clock: MachineClock
    name: str
    terms: Terms = attrs.field(factory=lambda: Terms(lease=15.0, window=600.0, keep=None))
    tx: Transaction = attrs.field(init=False)
    told: int = attrs.field(default=0, init=False)
    _is_open: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.tx = Transaction(open_database(self.path, "process"), self.clock, self.terms, self.name)
        self.run(begin, first=True)

    def run(self, step: Callable[..., T], *arguments: Any, first: bool = False, **options: Any) -> T:
        if self._is_open:
            return step(self.tx, *arguments, **options)
        with self.together(first=first):
            return step(self.tx, *arguments, **options)

    @contextmanager
    def together(self, *, first: bool = False) -> Generator[None]:
        """A block whose steps share one transaction."""
        tx = self.tx
        tx.begin()
        self._is_open = True
        try:
            if not first:
                look(tx)
            yield
            tx.prepare()
        except BaseException:
            tx.roll_back()
            raise
        finally:
            self._is_open = False
        tx.db.execute("COMMIT")
        self.told |= tx.wakes.get(tx.session, 0)

    def bind(self, *bindings: Binding) -> None:
        self.run(bind, bindings, True)

    def close(self) -> None:
        """Without a word, as when its process is killed."""
        self.tx.db.close(True)

    def leave(self) -> None:
        self.run(end)
        self.tx.db.close(True)
