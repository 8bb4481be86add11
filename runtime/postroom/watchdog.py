"""The watchdog: tells who blocks the event loop, and where.

A handler that calls `time.sleep`, or anything else that doesn't await, stops every other task, those that could
notice it included. So a thread looks on from outside. While handlers are at work it asks the loop for a sign of life,
one question at a time; a loop that stays silent over four looks in a row is blocked, and the stack of its thread says
by whom. A handler that awaits, however long, blocks nobody, and an idle loop is never asked.

Nothing here is on the way of an event.

Units: seconds of real time, whatever the loop's own clock says.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import attrs

from postroom_actors import Actor, Hand, Port, current_port

from .log import BLOCKED, LIVES_AGAIN, NO_FIELDS, Fields, Line, Log

LOOKS: Final = 4
"""How many looks there are in a limit. Looks are counted, so that a process that was stopped raises no alarm."""

_WORK: Final = Actor.work.__code__
"""The task of every kind of actor: a handler's frames are inside of this one."""

_OURS: Final = frozenset({"postroom", "postroom_actors"})
_LIBRARIES: Final = ("site-packages", "dist-packages")


@contextmanager
def open_watchdog(
    limit: float | None,
    busy: Callable[[], bool],
    progress: Callable[[], object],
    log: Log | None = None,
    fields: Callable[[Hand[Any]], Fields] = lambda hand: NO_FIELDS,
) -> Iterator[None]:
    """Watch over the event loop that runs the caller, and log a warning for each handler that blocks it.

    It is told once for each blocking, with the line of the handler, and once more when the loop lives again, with how
    long it took, to a quarter of `limit`. A loop that is blocked for less than `limit` is not told of, one that is for
    half as much again always is.

    Leaving the block ends the thread and waits for it: for as long as a log handler takes that is at work there.

    Args:
        limit: Seconds without a sign of life; None for no watchdog, as on a virtual clock.
        busy: Whether any handler is at work; nothing is asked of the loop meanwhile. Called in another thread.
        progress: A mark that changes when a task gives the loop away: another sign of life. Without it a turn of the
            loop in which very many tasks do a little each would be laid at the door of one of them. Likewise.
        log: Where warnings go.
        fields: What a record says of what a worker has in hand. Likewise.
    """
    if limit is None:
        yield
        return
    watchdog = _Watchdog(limit, busy, progress, threading.get_ident(), current_port(), log or Log(), fields)
    thread = threading.Thread(target=watchdog.run, name="postroom watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watchdog.ended.set()
        thread.join()


@attrs.frozen
class _Blocker:
    """Who blocks the loop, and where, in words."""

    who: str
    place: str
    fields: Fields = NO_FIELDS


_UNKNOWN: Final = _Blocker("an unknown handler", "an unknown place")


@attrs.define(eq=False)
class _Watchdog:
    """What the thread does. All but `ended` and `_answered` is its own.

    Attributes:
        ended: The block has ended.
    """

    _limit: float
    _busy: Callable[[], bool]
    _progress: Callable[[], object]
    _thread: int
    _port: Port
    _log: Log
    _fields: Callable[[Hand[Any]], Fields]
    ended: threading.Event = attrs.field(factory=threading.Event, init=False)
    _asked: float | None = attrs.field(default=None, init=False)  # since when a question is open
    _answered: float | None = attrs.field(default=None, init=False)  # set by the loop, when it answers
    _alive: float = attrs.field(default=0.0, init=False)  # the last sign of life, while a question is open
    _mark: object = attrs.field(default=None, init=False)
    _silent: int = attrs.field(default=0, init=False)  # looks since then
    _told: _Blocker | None = attrs.field(default=None, init=False)

    def run(self) -> None:
        """Look on until the block has ended, or the loop is closed."""
        try:
            while not self.ended.wait(self._limit / LOOKS):
                self._look()
        except _Closed:
            pass
        if self._told is not None:  # the block has ended, so the loop lives
            self._tell_the_end(self._answered or time.perf_counter())

    def _look(self) -> None:
        mark = self._progress()
        gave_way = mark != self._mark
        self._mark = mark
        if self._asked is None:
            if self._is_busy():
                self._ask_for_a_sign()
        elif self._answered is not None:
            self._lives(self._answered)
            self._asked = None
            if self._is_busy():
                self._ask_for_a_sign()
        elif gave_way:
            self._lives(time.perf_counter())
        else:
            self._silent += 1
            if self._silent >= LOOKS and self._told is None:
                self._tell()

    def _is_busy(self) -> bool:
        try:
            return self._busy()
        except RuntimeError:  # what it looks at changed meanwhile, so somebody is at work
            return True

    def _ask_for_a_sign(self) -> None:
        self._asked = self._alive = time.perf_counter()
        self._answered = None
        self._silent = 0
        try:
            self._port.submit(self._answer)
        except RuntimeError:
            raise _Closed from None

    def _answer(self) -> None:
        """Called by the loop."""
        self._answered = time.perf_counter()

    def _lives(self, since: float) -> None:
        if self._told is not None:
            self._tell_the_end(since)
        self._alive = since
        self._silent = 0

    def _tell(self) -> None:
        blocker = _blocker_of(self._thread, self._fields)
        if self._answered is not None:
            return  # too late: what the stack shows now may be somebody else
        self._told = blocker
        self._warn(BLOCKED, blocker, time.perf_counter() - self._alive)

    def _tell_the_end(self, since: float) -> None:
        assert self._told is not None, "only after it has been told of"
        blocker, self._told = self._told, None
        self._warn(LIVES_AGAIN, blocker, since - self._alive)

    def _warn(self, line: Line, blocker: _Blocker, seconds: float) -> None:
        self._log.write(line, blocker.who, seconds, blocker.place, fields=blocker.fields)


class _Closed(Exception):
    """The loop was closed before the block had ended; there is nothing to watch over any more."""


def _blocker_of(thread: int, fields: Callable[[Hand[Any]], Fields]) -> _Blocker:
    """Read the stack of the loop's thread, which may go on meanwhile."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return _UNKNOWN  # without the GIL, to read the frames of a thread that runs may crash the interpreter
    try:
        return _read_stack(sys._current_frames()[thread], fields)
    except Exception:
        return _UNKNOWN


def _read_stack(innermost: FrameType, fields: Callable[[Hand[Any]], Fields]) -> _Blocker:
    frames: list[FrameType] = []
    frame: FrameType | None = innermost
    while frame is not None:
        if frame.f_code is _WORK:
            hand = frame.f_locals["hand"]
            return _Blocker(f"the handler of {hand.actor.name}", _place(_own(frames, innermost)), fields(hand))
        frames.append(frame)
        frame = frame.f_back
    # Its own task, if it has started one, is not in the worker's stack.
    outside = next((frame for frame in frames if not _is_plumbing(frame)), innermost)
    return _Blocker("something that no handler's own task runs", _place(outside))


def _own(frames: list[FrameType], innermost: FrameType) -> FrameType:
    """The handler's own line among its frames, innermost first: a library's is less telling, and ours tells nothing."""
    candidates = [frame for frame in frames if not _is_plumbing(frame)]
    for frame in candidates:
        if not any(folder in frame.f_code.co_filename for folder in _LIBRARIES):
            return frame
    return candidates[0] if candidates else innermost


def _is_plumbing(frame: FrameType) -> bool:
    """Whether it is of the standard library or of postroom."""
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in _OURS or package in sys.stdlib_module_names


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
