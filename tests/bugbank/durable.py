"""Bugs of what ties a runtime to a store, and of a store: in publishing, lending, settling, leases and groups."""

from typing import Final

from .planting import Bug

DURABLE: Final = (
    # leases and fencing
    Bug(
        name="no-fencing",
        mistake="a delivery that is lent anew has the token of its last loan, so that old settlements count",
        where="postroom.testing.reference.deliveries:Deliveries.fetch",
        old="delivery.token, delivery.session = next(self._numbers), session",
        new="delivery.token, delivery.session = delivery.number, session",
        world="store",
    ),
    Bug(
        name="lease-not-renewed",
        mistake="a lease is renewed when it has run out",
        where="postroom.testing.reference.module:ReferenceSession.renew_for_ever",
        old="self.store.lease / RENEWALS",
        new="self.store.lease * RENEWALS",
        world="store",
    ),
    Bug(
        name="never-taken-over",
        mistake="what a dead process had is lent to nobody else",
        where="postroom.testing.reference.store:ReferenceStore.expire",
        old="delivery.token = delivery.session = None",
        new="pass",
        world="store",
    ),
    Bug(
        name="losses-not-counted",
        mistake="a delivery that kills its process is lent again and again",
        where="postroom.carrying.fetching:Fetcher._take",
        old="if loan.losses >= self.losses:",
        new="if False:",
        world="store",
    ),
    Bug(
        name="lost-lease-goes-on",
        mistake="a process that was taken for dead goes on with what it had, and does not register again",
        where="postroom.carrying.carrier:Carrier._heard",
        old="if news.lost:",
        new="if False:",
        world="store",
    ),
    # settling
    Bug(
        name="settle-lost",
        mistake="a settlement that a busy store has refused is taken for written",
        where="postroom.carrying.settling:Settler._settle",
        old="self.is_behind = True\n        raise",
        new="return [True] * len(batch)",
        world="store",
    ),
    Bug(
        name="letter-lost",
        mistake="a delivery that is given up on leaves no dead letter in the store",
        where="postroom.carrying.settling:Settler.settled",
        old="letter = None if loan.grave is None else letter_of(loan.grave)",
        new="letter = None",
        world="store",
    ),
    Bug(
        name="told-before-settled",
        mistake="an outcome is told to its emitter though the store has refused it",
        where="postroom.carrying.settling:Settler.write",
        old="if was_taken or (item.may_be_done and not item.was_lost):",
        new="if True:",
        world="store",
    ),
    Bug(
        name="retry-forgets-attempts",
        mistake="what is handed back for its next attempt has its failed ones again",
        where="postroom.carrying.settling:Settler.returned",
        old="self.give_back(loan.subscription, loan.token, attempts,",
        new="self.give_back(loan.subscription, loan.token, 0,",
        world="store",
    ),
    # asking again
    Bug(
        name="dedupe-key-after-effect",
        mistake="a numbered call that is made again is done again",
        where="postroom.testing.reference.sessions:Sessions._once",
        old="if own.last[0] == number:",
        new="if False:",
        world="store",
    ),
    Bug(
        name="repeated-under-another-number",
        mistake="a call of which nobody knows whether it was done gets a new number when it is made again",
        where="postroom.carrying.publishing:Publisher._numbered",
        old="lambda: make(number)",
        new="lambda: make(number + 1_000 * int(anyio.current_time() * 100))",
        world="store",
    ),
    Bug(
        name="unknown-called-busy",
        mistake="an emit that may have been stored says that nothing was done, since the last of its calls was refused",
        where="postroom.carrying.persistence:Persistence.until_done",
        old="raise self.unknown(what) from error",
        new="raise",
        world="store",
    ),
    Bug(
        name="lost-loans-kept",
        mistake="what a fetch has lent whose reply got lost stays lent to nobody",
        where="postroom.carrying.fetching:Fetcher._fetch",
        old="await self._reclaim()",
        new="pass",
        world="store",
    ),
    Bug(
        name="reclaims-the-unsettled",
        mistake="what is handled, and not written yet, is taken back and handled again",
        where="postroom.carrying.fetching:Fetcher._reclaim",
        old="[*self.loans, *self._settler.tokens]",
        new="[*self.loans]",
        world="store",
    ),
    Bug(
        name="early-outcome-forgotten",
        mistake="an outcome that comes before the answer to its emit is told to nobody",
        where="postroom.carrying.carrier:Carrier._answered",
        old="take_up()",
        new="pass",
        world="store",
    ),
    # groups and keys
    Bug(
        name="release-not-atomic",
        mistake="of a group that is released only the first event is accepted",
        where="postroom.testing.reference.store:ReferenceStore._release",
        old="events = [event for event, _ in staged.events]",
        new="events = [event for event, _ in staged.events][:1]\n    staged.events = staged.events[:1]",
        world="store",
    ),
    Bug(
        name="key-lent-twice",
        mistake="two processes have deliveries of one key at a time",
        where="postroom.testing.reference.deliveries:Deliveries._candidates",
        old="if delivery.key in closed:",
        new="if False:",
        world="store",
    ),
)
