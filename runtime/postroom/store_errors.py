"""What goes wrong with stores, beside what was asked of them.

`Full` may work later; `StoreBroken` won't without somebody's help; with `UnknownResult` nobody can tell what was done.
"""

import attrs

from .errors import Full, PostroomError, Rejected


@attrs.define
class WrongRole(Rejected):
    """A runtime whose role is to handle events was asked to emit one from outside of its handlers. Nothing was done."""

    name: str

    def __str__(self) -> str:
        return (
            f"{self.name!r} was emitted outside of a handler, in a runtime with role='handle'. "
            "Emit it in another process, or make the role 'both'."
        )


@attrs.define
class StillServed(Rejected):
    """A subscription was to be removed that a process serves. Nothing was done."""

    name: str

    def __str__(self) -> str:
        return f"{self.name!r} is served by a process: stop it there, and then remove it."


@attrs.define
class BacklogFull(Full):
    """As many deliveries wait for a subscription as its `backlog` allows. The event was accepted by nobody."""

    subscription: str
    backlog: int

    def __str__(self) -> str:
        return (
            f"the backlog of {self.subscription!r} is full: {self.backlog} deliveries wait. Emit later, start more "
            "processes that handle them, or choose a larger `backlog` or another `overflow`."
        )


@attrs.define
class GroupFull(Full):
    """A group holds as many events as one may. This one was not staged."""

    group: str
    capacity: int

    def __str__(self) -> str:
        return (
            f"group {self.group!r} is full: it holds {self.capacity} events. Release it, or stage into several groups."
        )


@attrs.define
class StoreBusy(Full):
    """The store was kept busy by others for too long. Nothing was done."""

    module: str
    reason: str

    def __str__(self) -> str:
        return f"the {self.module} store is busy: {self.reason}. Nothing was done; try again."


@attrs.define
class StoreFull(Full):
    """The store has no room. Nothing was done."""

    module: str
    reason: str

    def __str__(self) -> str:
        return f"the {self.module} store is full: {self.reason}. Nothing was done; make room, and try again."


@attrs.define
class StoreBroken(PostroomError):
    """The store can't be used, or not any more."""

    module: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"the {self.module} store can't be used: {self.reason}. {self.remedy}"


@attrs.define
class UnknownResult(PostroomError):
    """The store was asked for something, and nobody can tell whether it was done: the reply was lost.

    Emit again under the same `id`: that is the same event.
    """

    module: str
    what: str

    def __str__(self) -> str:
        return (
            f"nobody can tell whether the {self.module} store did what it was asked for ({self.what}). "
            "Emit again under an `id` of your own to be sure: the same id is the same event."
        )
