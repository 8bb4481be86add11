"""Everything that postroom raises.

Split by what the caller does next: `Rejected` will never work as it was asked; `Full` may work later;
`Closed` is over; `StoreBroken` is the store's fault.
"""

import attrs

from .quoting import quoted


class PostroomError(Exception):
    """Root of postroom's errors."""


class Rejected(PostroomError):
    """What was asked for will never work; nothing was done."""


class Full(PostroomError):
    """There is no room now; nothing was done."""


class Closed(PostroomError):
    """What was addressed has ended or is ending; nothing was done."""


@attrs.define
class InvalidName(Rejected):
    """A name of an event, a pattern or a subscription breaks the rules."""

    name: object = attrs.field(repr=quoted)
    reason: str

    def __str__(self) -> str:
        return f"{quoted(self.name)} is not a valid name: {self.reason}"


@attrs.define
class InvalidOption(Rejected):
    """An argument has a wrong type or value."""

    option: str
    value: object = attrs.field(repr=quoted)
    reason: str

    def __str__(self) -> str:
        return f"{self.option}={quoted(self.value)}: {self.reason}"


@attrs.define
class InvalidHandler(Rejected):
    """A handler can't be called the way subscribers are."""

    handler: object = attrs.field(repr=quoted)
    reason: str

    def __str__(self) -> str:
        return f"{quoted(self.handler)} can't be a subscriber's handler: {self.reason}"


@attrs.define
class InvalidEventType(Rejected):
    """A class can't be the type of events the way it was declared, or is none."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{quoted(self.name)} is not a valid event type: {self.reason}"


@attrs.define
class InvalidPayload(Rejected):
    """A typed event is not what its class says.

    Attributes:
        name: Of the event.
        path: Where in its data, from `$`, the whole.
    """

    name: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.path}: {self.reason}"


@attrs.define
class DuplicateSubscription(Rejected):
    """A subscription of this name is at work already."""

    name: str

    def __str__(self) -> str:
        return (
            f"there is a subscription named {self.name!r} already. "
            "A name stands for one subscription: pass another `name=`, or stop the first."
        )


@attrs.define
class ConflictingEvent(Rejected):
    """An id was given twice, with something else in the event. The first event stands."""

    id: str
    field: str

    def __str__(self) -> str:
        return (
            f"an event with id {self.id!r} was accepted before, and its {self.field} differ. "
            "The same id means the same event: repeat it unchanged, or give this one an id of its own."
        )


@attrs.define
class UnknownSubscription(Rejected):
    """No subscription of this name is at work; or none that subscribes to `event`, where one is named.

    On a store, where `stored` says so: none of this name is registered.
    """

    name: str
    event: str | None = None
    stored: bool = False

    def __str__(self) -> str:
        if self.stored:
            return (
                f"no subscription named {self.name!r} is registered in the store. `stored_subscriptions` lists those "
                "that are; a runtime with its subscriber registers it."
            )
        wanted = "" if self.event is None else f" that subscribes to {self.event!r}"
        return f"no subscription named {self.name!r}{wanted} is at work in this runtime: spawn it first."


@attrs.define
class NoSubscriber(Rejected):
    """Somebody has to handle the event, and nobody subscribes to it."""

    name: str

    def __str__(self) -> str:
        return f"nobody subscribes to {self.name!r}: spawn a subscriber first, or leave out `require=True`."


@attrs.define
class UnknownDeadLetter(Rejected):
    """No such dead letter is kept: it was replayed, discarded, or went to make room."""

    id: str

    def __str__(self) -> str:
        return f"no dead letter {quoted(self.id)} is kept: it was replayed, discarded, or made room for a newer one."


@attrs.define
class CausationTooDeep(Rejected):
    """An event would continue a chain of causes that is too long: most likely a loop of emits.

    Attributes:
        depth: Which one in the chain it would be.
        cause: Id of the event before it.
        trail: Names of the last events of the chain, oldest first, this one's the last.
    """

    name: str
    depth: int
    cause: str
    trail: tuple[str, ...]

    @property
    def loop(self) -> tuple[str, ...]:
        """The names between this event and the last one of the same name before it; empty where there is none."""
        before = self.trail[:-1]
        if self.name not in before:
            return ()
        return self.trail[len(before) - 1 - before[::-1].index(self.name) :]

    def __str__(self) -> str:
        way = " -> ".join(self.loop or ("…", *self.trail))
        return (
            f"{self.name!r} would be number {self.depth} in a chain of events that cause each other "
            f"(the one before it has id {self.cause!r}): {'a loop' if self.loop else 'its end'} is {way}. "
            "Break it, or raise `causation_depth` of the runtime."
        )


@attrs.define
class WouldDeadlock(Rejected):
    """A handler's wait would close a circle of subscriptions that wait for each other. Nothing was done.

    Attributes:
        wait: What would be waited for.
        path: The circle: each subscription, and what it waits for of the next one.
    """

    wait: str
    path: str

    def __str__(self) -> str:
        return (
            f"waiting for {self.wait} would never end, since the workers that could end it wait for each other: "
            f"{self.path}. Emit without awaiting the outcome, wait in a task of your own beside the handler, "
            "or give one of them a larger capacity, more workers (`concurrency`) or an overflow policy."
        )


@attrs.define
class UnknownEvent(Rejected):
    """A recording knows no event of this id."""

    id: str

    def __str__(self) -> str:
        return (
            f"no event {quoted(self.id)} was recorded: it was emitted before the recording began, elsewhere, or had to "
            "make room. Begin earlier, or record with a larger `limit`."
        )


@attrs.define
class NotPortable(Rejected):
    """The runtime is portable, and this payload could not be stored and read again. Nothing was accepted.

    Attributes:
        path: Where in the payload, as in `data['lines'][0]`.
        reason: What is wrong there.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.path} {self.reason}. A portable runtime takes only what any event module could carry: emit None, "
            "booleans, numbers, strings, lists and mappings of these, or an object with typed fields as the whole."
        )


@attrs.define
class WrongThread(Rejected):
    """The runtime was called from a thread other than its own."""

    call: str

    def __str__(self) -> str:
        return (
            f"`{self.call}` was called from a foreign thread, but a runtime belongs to the thread of its event loop. "
            + (
                "From another thread, use `runtime.emit_from_thread(…)`."
                if self.call == "emit"
                else "Call it there, as `anyio.from_thread.run` does from threads that anyio has started."
            )
        )


@attrs.define
class NotFromHere(Rejected):
    """A call that blocks its thread was made in the thread of the event loop, which it would wait for."""

    call: str

    def __str__(self) -> str:
        return (
            f"`{self.call}` blocks its thread until the event loop answers, and this is the thread of that event loop. "
            "Here, use `await runtime.emit(…)`."
        )


@attrs.define
class WrongBackend(Rejected):
    """The runtime was used in another event loop than the one that it was entered in."""

    entered_on: str
    used_on: str

    def __str__(self) -> str:
        return (
            f"the runtime was entered on {self.entered_on}, and this is {self.used_on}: a runtime belongs to the one "
            "event loop in which its `async with` block runs. Make a runtime inside this loop."
        )


@attrs.define
class EmitInterrupted(Rejected):
    """A signal handler or a finalizer emitted in the middle of another emit."""

    name: str

    def __str__(self) -> str:
        return (
            f"{self.name!r} was emitted in the middle of another emit, by a signal handler or a `__del__`. "
            "Wait for signals in a task (`anyio.open_signal_receiver`), or have the event loop call you "
            "(asyncio's `loop.call_soon_threadsafe`, trio's `TrioToken.run_sync_soon`)."
        )


@attrs.define
class ForkedProcess(Rejected):
    """The process was forked, and in the child nothing of the runtime runs."""

    def __str__(self) -> str:
        return (
            "this process was forked from the one that the runtime runs in; here nothing of it runs. "
            "Make a new `Runtime(…)` in the child, or start it with `spawn` instead of `fork`."
        )


@attrs.define
class MailboxFull(Full):
    """A mailbox that a `emit_nowait` would have to wait for has no room. The event was delivered to nobody."""

    subscription: str
    capacity: int

    def __str__(self) -> str:
        return (
            f"the mailbox of {self.subscription!r} is full: all {self.capacity} places are taken. "
            "Use `await runtime.emit(…)` to wait for room, or give the subscriber a larger `capacity`."
        )


@attrs.define
class RuntimeClosed(Closed):
    """The runtime is not open: not entered yet, being left, or left."""

    state: str

    def __str__(self) -> str:
        return (
            f"the runtime is {self.state}: it takes events only inside its `async with` block "
            "(and from handlers while it drains)."
        )


@attrs.define
class RuntimeReentered(Rejected):
    """A runtime was entered a second time."""

    def __str__(self) -> str:
        return "a runtime runs once: make a new `Runtime(…)` for each `async with`."


@attrs.define
class HandlerTimeout(PostroomError, TimeoutError):
    """An attempt took longer than its subscriber's `timeout`; it was cancelled."""

    subscription: str
    timeout: float

    def __str__(self) -> str:
        return f"the handler of {self.subscription!r} was cancelled after its timeout of {self.timeout:g} s."


@attrs.define
class UnreadableEvent(PostroomError):
    """An event's data is not what the handler's annotation asks for, so it was not called, and won't be.

    Attributes:
        name, id: Of the event.
        path: Where in its data, from `$`, the whole.
    """

    subscription: str
    name: str
    id: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.subscription!r} can't read {self.name}: {self.path}: {self.reason}"


@attrs.define
class HandlerAborted(PostroomError):
    """A handler let out something that is neither a result nor an ordinary exception; see `__cause__`."""

    subscription: str
    what: str

    def __str__(self) -> str:
        return f"the handler of {self.subscription!r} {self.what}; that counts as its failure."


@attrs.define
class NotHandled(PostroomError):
    """In the group of `Report.raise_for_failures`: a delivery that was dropped, expired or cancelled."""

    subscription: str
    outcome: str
    reason: str

    def __str__(self) -> str:
        return f"{self.subscription!r} did not handle the event: {self.outcome} ({self.reason})."
