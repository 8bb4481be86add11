"""The outbox: from a checked event to the store, for every kind of emit."""

import math
from collections.abc import Sequence

import attrs

from postroom_actors import current_hand

from ..capabilities import OF_OPTIONS, Capability, check_capability
from ..contract import EventModule
from ..event import Event
from ..receipt import Receipt
from ..staging import TIME_TO_LIVE
from ..store_errors import WrongRole
from .carrier import Carrier
from .groups import StoredGroups


@attrs.frozen(eq=False)
class Outbox:
    """Sends events into the store of a module, or into a group there."""

    module: EventModule
    carrier: Carrier
    groups: StoredGroups
    handlers_only: bool = False

    def check(self, event: Event, chosen: bool, group: str | None = None) -> None:
        """Refuse what can't be sent from here.

        Raises:
            WrongRole: only handlers may emit.
            Unsupported: the event module does not promise what the event asks for.
        """
        if self.handlers_only and current_hand() is None:
            raise WrongRole(event.name)
        if event.delay is not None:
            self._check_option("delay")
        if event.priority != "default" and not (event.quiet and event.priority == "lowest"):
            self._check_option("priority")
        if event.key is not None:
            self._check_option("key")
        if chosen:
            self._check_option("id")
        if group is not None:
            self._check_option("group")

    def _check_option(self, option: str) -> None:
        check_capability(self.module.name, self.module.capabilities, OF_OPTIONS[option], f"`{option}`")

    def check_groups(self) -> None:
        """Raises Unsupported where the event module has no groups."""
        check_capability(self.module.name, self.module.capabilities, Capability.GROUPS, "`group`")

    def refuse_nowait(self) -> None:
        """Raises Unsupported: a store has to be asked."""
        check_capability(self.module.name, self.module.capabilities, Capability.NOWAIT, "`emit_nowait`")

    def send(self, event: Event, given: Event | None, group: str | None, require: bool) -> Receipt:
        """Send an event; never waits, its receipt does.

        Args:
            given: As its user gave it, where the user chose its id.

        Raises:
            NotPortable, BackoffNotPortable: nothing was sent.
        """
        if group is None:
            return self.carrier.submit([(event, given)], require)[0]
        return self.stage([(event, given)], group, require)[0]

    def stage(self, events: Sequence[tuple[Event, Event | None]], group: str, require: bool = False) -> list[Receipt]:
        """Stage events in a group, all or none; never waits, their receipts do. Arguments and errors as `send`."""
        block = self.groups.blocks.get(group)
        ttl = TIME_TO_LIVE if block is None else block.ttl
        return list(self.groups.stage(group, events, require, ttl if ttl < math.inf else None))
