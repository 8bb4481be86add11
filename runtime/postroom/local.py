"""Local: the event module that keeps events in memory, by reference, in the process that emits them."""

from typing import Final

import attrs

from .capabilities import Capability

CAPABILITIES: Final = frozenset(
    {
        Capability.NOWAIT,
        Capability.DELAY,
        Capability.PRIORITY,
        Capability.KEYS,
        Capability.DEDUPLICATION,
        Capability.GROUPS,
        Capability.RATES,
        Capability.WORKFLOWS,
    }
)


@attrs.frozen
class Local:
    """Events live in memory: no copies, no encoding, no store. The default of `Runtime(module=…)`."""

    name: str = attrs.field(default="local", init=False)
    capabilities: frozenset[Capability] = attrs.field(default=CAPABILITIES, init=False)
