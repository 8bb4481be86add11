"""Rare situations of processes on a store that must have come about in a campaign."""

from typing import Final

from ..sometimes import Sometimes

SITUATIONS: Final = {
    # processes
    "killed with deliveries": "a process was killed with deliveries in hand",
    "killed while publishing": "a process was killed while the store was asked to take an event",
    "crashed in a call": "a process died in the middle of a call",
    "restarted": "a process that had been killed was started again",
    "left with deliveries": "a process left while it had deliveries in hand",
    "stalled": "a process slept until its lease had run out",
    "broken": "a store broke for one process",
    # leases
    "lease ran out in a handler": "a lease ran out while a handler ran",
    "lease kept": "a lease ran out, nobody noticed, and it went on",
    "taken over": "a delivery was lost by one process, and lent to another",
    "lost too often": "a delivery was given up on since its processes had died so often",
    "ran twice": "a handler ran again for what had been handled and not settled",
    "two live runs": "a handler ran while that of a lost lease still did",
    # the store's answers
    "settle refused": "a settlement was refused by its token",
    "settle repeated": "a settlement of which nobody knew whether it was taken was made again",
    "settle repeated after a lost lease": "likewise, when the lease of its session had run out meanwhile",
    "unknown repeated": "a call of which nobody knew whether it was done was made again",
    "known twice": "an emit was accepted before under its id, by whichever process",
    "emit unknown": "an emit ended, and nobody knew whether its event was stored",
    "emit refused by a busy store": "an emit was given up, since the store was busy or full for too long",
    "reclaimed": "deliveries were taken back whose loan nobody had heard of",
    "backlog full": "an emit waited for room in a backlog",
    "spurious news": "there was news of nothing",
    "stale listing": "a listing told how things had been some time before",
    "dropped by drop_oldest": "a full backlog let its oldest delivery go",
    "dropped by drop_newest": "a full backlog refused a delivery",
    "dropped by coalesce": "a delivery in a backlog gave way to one of its key",
    # subscriptions
    "paused with deliveries": "a subscription was paused while deliveries waited for it",
    "stopped with deliveries": "a subscription was stopped at once while its process had deliveries for it",
    "drained with deliveries": "a subscription was stopped, and drained, while its process had deliveries for it",
    "started again": "a subscription that had been stopped was started again in the same process",
    "refused late": "a wait that had begun was refused, since another process had gone",
    "held back by its rate": "a delivery waited that was due, since its subscription may begin only so many attempts",
    "batch": "a handler had several events in hand",
    "part of a batch failed": "a handler of batches told that some of its events failed",
    "restarted an actor": "an actor was restarted",
    # what comes of it
    "retried elsewhere": "an attempt was made in another process than the one before",
    "settled elsewhere": "a receipt heard of an outcome from another process",
    "receipt closed": "a receipt's runtime ended while its deliveries were stored",
    "cancelled on its way": "an emit was cancelled while the store was asked",
    "waited behind its key": "a delivery waited for one of its key that another process had",
    "failed for good": "the last attempt of a delivery failed",
    "replayed": "a dead letter was replayed",
    "replayed too late": "a dead letter was to be replayed that somebody else had replayed meanwhile",
    "group released": "the events of a group were accepted together",
    "group released elsewhere": "a process released what another one had staged",
    "group cleared": "the events of a group were dropped",
}


class StoreSometimes(Sometimes):
    """How often each of them came about."""

    situations = SITUATIONS
