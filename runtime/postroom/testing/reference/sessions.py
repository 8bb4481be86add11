"""The sessions of the reference store, who serves what, and what each is told."""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, TypeVar, cast

import attrs

from postroom.contract import Binding, Notice, StoredLetter
from postroom.memory_journal import MemoryJournal
from postroom.names import tokens_of_pattern
from postroom.routes import Routes

from .records import EPOCH, KeptDelivery, KeptEvent, KeptGroup, Session

T = TypeVar("T")

LEASE: Final = 15.0
WINDOW: Final = 600.0


@attrs.define(eq=False)
class Sessions:
    """Sessions and what they are told. All methods are plain: one step of the store, which happens as a whole."""

    lease: float = LEASE
    window: float = WINDOW
    sessions: dict[str, Session] = attrs.field(factory=dict, init=False)
    lapsed: dict[str, Session] = attrs.field(factory=dict, init=False)
    bindings: dict[str, Binding] = attrs.field(factory=dict, init=False)
    paused: set[str] = attrs.field(factory=set, init=False)
    due: dict[str, float] = attrs.field(factory=dict, init=False)  # of subscriptions with a rate
    known: dict[str, KeptEvent] = attrs.field(factory=dict, init=False)
    deliveries: list[KeptDelivery] = attrs.field(factory=list, init=False)
    dead: dict[str, StoredLetter] = attrs.field(factory=dict, init=False)
    groups: dict[str, KeptGroup] = attrs.field(factory=dict, init=False)
    journal: MemoryJournal = attrs.field(init=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    def __attrs_post_init__(self) -> None:
        self.journal = MemoryJournal(self._notify, lambda: self._tell_all(mail=True), EPOCH, self.lease)

    # Sessions

    def begin(self, session: str, now: float) -> None:
        """A session begins."""
        self.sessions[session] = Session(now + self.lease)

    def _forget_session(self, session: str) -> None:
        own = self.sessions.pop(session, None)
        if own is not None:
            own.tell()  # who waits for its news sees that it is gone
        for other in self.sessions.values():
            other.mail = other.routes = True
            other.tell()

    # Subscriptions

    def bind(self, session: str, bindings: Sequence[Binding], serve: bool) -> None:
        for binding in bindings:
            self.bindings[binding.name] = binding
            if serve:
                self.sessions[session].serves.add(binding.name)
        self._tell_all(routes=True)

    def leave(self, session: str, names: Collection[str]) -> None:
        self.sessions[session].serves.difference_update(names)
        self._tell_all(routes=True)

    def match(self, name: str) -> tuple[str, ...]:
        """Who subscribes to events of this name."""
        routes: Routes[str] = Routes()
        for binding in self.bindings.values():
            routes.add(tuple(tokens_of_pattern(pattern) for pattern in binding.patterns), binding.name)
        return tuple(routes.match(name))

    # Telling

    def _notify(self, session: str, notice: Notice) -> None:
        # One whose lease has run out may come back, and its receipts wait still.
        own = self.sessions.get(session) or self.lapsed.get(session)
        if own is not None:
            own.notices.append((next(own.numbers), notice))
            own.tell()

    def _tell_all(self, *, mail: bool = False, routes: bool = False) -> None:
        for session in self.sessions.values():
            session.mail, session.routes = session.mail or mail, session.routes or routes
            session.tell()

    def _once(self, session: str, number: int, call: Callable[[], T], of: str = "") -> T:
        own = self.sessions[session]
        last = own.last.get(of)
        if last is not None and last[0] == number:
            return cast("T", last[1])  # the same call as before
        result = call()
        own.last[of] = (number, result)
        return result
