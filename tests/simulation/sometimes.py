"""Rare situations that must have come about in a campaign: a generator that never gets there proves nothing.

Each is counted where it is seen. A campaign of the size for each change must see every one of them on each backend.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

SITUATIONS: Final = {
    # emitting and room
    "waited for room": "an emit waited for a full mailbox, and got in",
    "cancelled before acceptance": "an emit was cancelled while it yielded, and nothing was accepted",
    "cancelled in line": "an emit was cancelled while it waited for room, and its event stayed in line",
    "abandoned dropped": "more abandoned messages stood in line than a mailbox keeps, and one was dropped",
    "mailbox full": "an emit_nowait found no room",
    "same id": "an id came again, and its first receipt was given",
    "same id with other data": "an id came again with other data, and was refused",
    "nobody subscribed": "an event was accepted for nobody",
    "required somebody": "an event that required a subscriber was refused",
    "would deadlock": "a handler's wait was refused since it would close a circle",
    "causation too deep": "a chain of causes grew too long",
    "many cancelled in line": "an emit_many was cancelled while it waited for room",
    # what mailboxes do
    "dropped oldest": "a full mailbox let its oldest delivery go",
    "dropped newest": "a full mailbox refused a delivery",
    "coalesced": "a delivery took the place of one of its key",
    "expired": "a delivery's turn came too late",
    "overtaken by priority": "a delivery of a higher priority began before one that came earlier",
    "delayed": "a delayed delivery was handled",
    # failures
    "failed for good": "the last attempt of a delivery failed",
    "retried and succeeded": "a delivery succeeded after a failed attempt",
    "key held by a retry": "a delivery waited behind one of its key that waited for its next attempt",
    "timed out": "an attempt took too long",
    "timed out and swallowed": "a handler hid the cancellation of its timeout, and returned",
    "stuck": "a handler went on past its timeout and the time to clean up",
    "raw cancellation": "a handler let out a cancellation that nobody had asked for, or raised an odd BaseException",
    "cancelled its own scope": "a handler cancelled a scope of its own, and succeeded",
    "part of a batch failed": "a handler of batches told that some of its events failed",
    "breaker opened": "a breaker opened",
    "excused by a breaker": "an attempt was made again because its breaker was open",
    "replayed": "a dead letter was replayed",
    # supervision
    "restarted": "an actor was restarted",
    "handed back": "a delivery was handed back by an instance that was ended",
    "stopped by its supervision": "restarts went beyond the intensity, and the rest failed",
    "failed to start": "an instance failed to start",
    "failed to stop": "an instance failed to stop",
    "fell": "a subscription let the runtime fall",
    "sibling restarted": "an actor was restarted because its sibling was",
    # leaving
    "stopped while full": "a subscription was stopped while its mailbox was full",
    "stopped with a line": "a subscription was stopped while emitters waited for its mailbox",
    "stopped in a backoff": "a subscription was stopped while a delivery waited for its next attempt",
    "stopped by its own handler": "a handler stopped its own subscription",
    "stop cancelled": "a stop was cancelled, and went on by itself",
    "drained with a line": "a runtime's block ended while emitters waited for room",
    "drain cut a backoff": "a retry that was due after the drain's deadline was cancelled",
    "drain cut a handler": "a handler was cancelled at the drain's deadline",
    "drain cancelled": "the block was cancelled while it drained",
    "emitted in the drain": "a handler emitted while the runtime drained",
    "closed too early": "an emit was refused because the runtime had closed",
    "error with deliveries": "an error ended the block while deliveries were pending",
    # receipts and groups
    "two waited": "two tasks waited for one receipt",
    "wait cancelled": "the wait for a receipt was cancelled, and its deliveries went on",
    "answered early": "a request was answered while other subscriptions were still at it",
    "nobody answered": "a request failed since no subscription succeeded",
    "group released": "the events of a group were accepted together",
    "group waited for room": "the release of a group waited for room",
    "group dropped": "the block of a group raised, and its events were dropped",
    "group cleared elsewhere": "a group was cleared by its id",
    "staged at the end": "events were still staged when the runtime closed",
    # time
    "paused while full": "a mailbox was full while its subscription was paused",
    "rate waited": "a subscription waited because it may begin only so many attempts",
    "slice ended": "an emit yielded because its time slice was over",
    "clock stepped": "the wall clock jumped",
}


class Sometimes(Counter[str]):
    """How often each situation came about.

    Attributes:
        situations: Those there are.
    """

    situations: Mapping[str, str] = SITUATIONS

    def hit(self, situation: str) -> None:
        """It has come about once more."""
        assert situation in self.situations, situation
        self[situation] += 1

    def missing(self) -> list[str]:
        """The situations that never came about."""
        return [situation for situation in self.situations if not self[situation]]
