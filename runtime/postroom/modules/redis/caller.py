"""How a session calls scripts, and begins anew where the server does not know it any more.

Units: seconds.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final, cast

import attrs

from postroom.contract import Binding
from postroom.log import SESSION_FORGOTTEN, STORE_EMPTIED, STORE_RESTARTED, Log
from postroom.store_errors import StoreBusy

from .faults import MODULE, SessionGone
from .link import Link
from .opening import Greeting
from .scripts import BEGIN, BIND, Script
from .settings import Settings
from .table import is_indexed, rate_of, registered_of
from .wire import encode, micro, raw

FORMAT: Final = 1
"""Of what is written in a namespace."""

MOST_BEGINNINGS: Final = 3
"""How often one call lets its session begin anew."""


@attrs.define(eq=False)
class Caller:
    """Calls scripts for one session.

    Attributes:
        bindings: What it has registered, by name; and whether it serves it.
        life: Names what began last: the server counts news anew in each life.
    """

    settings: Settings
    session: str
    greeting: Greeting
    log: Log
    bindings: dict[str, tuple[Binding, bool]] = attrs.field(factory=dict, init=False)
    beginnings: int = attrs.field(default=0, init=False)
    life: str = attrs.field(default="", init=False)
    _born: str = attrs.field(default="", init=False)
    _runs: int = attrs.field(default=0, init=False)

    @property
    def key(self) -> str:
        """Says to which slot of a cluster a script goes."""
        return self.settings.prefix + "state"

    def blob(self, *arguments: Any) -> bytes:
        """The arguments of a script, packed."""
        clock = self.settings.clock
        now = None if clock is None else round(clock() * 1_000_000)
        return encode([self.session, now, micro(self.settings.lease), micro(self.settings.window), *arguments])

    async def call(self, link: Link, script: Script, *arguments: Any, beside: Sequence[bytes] = ()) -> Any:
        """Run a script, as often as the session has to begin anew for it.

        Args:
            beside: Further arguments, not packed with the others.

        Raises and Cancellation: as `Link.run`.
        """
        for _ in range(MOST_BEGINNINGS):
            try:
                reply = await link.run(script, self.key, self.blob(*arguments), beside)
            except SessionGone:
                await self.begin(link)
                continue
            self._look_at_runs()
            return reply
        raise StoreBusy(MODULE, f"{link.finder.shown} forgets its sessions as soon as they begin")

    def _look_at_runs(self) -> None:
        if self._runs != self.greeting.runs:
            self._runs = self.greeting.runs
            guarantee = self.greeting.guarantee
            self.log.write(STORE_RESTARTED, MODULE, str(self.settings.place), guarantee.text if guarantee else "")

    async def begin(self, link: Link) -> None:
        """Begin the session; where it had begun, with all that it had registered.

        Raises and Cancellation: as `Link.run`.
        """
        again = bool(self._born)
        reply = await link.run(BEGIN, self.key, self.blob(FORMAT, uuid.uuid4().hex, again))
        was = self._born
        self._born, self.life = cast("bytes", reply).decode().split(" ")
        self.beginnings += 1
        if not again:
            return
        if was == self._born:
            self.log.write(SESSION_FORGOTTEN, MODULE)
        else:
            self.log.write(STORE_EMPTIED, MODULE, str(self.settings.place))
        for serve in (False, True):
            own = [binding for binding, serves in self.bindings.values() if serves is serve]
            if own:
                await link.run(BIND, self.key, self.blob(written(own), serve))


def written(bindings: Sequence[Binding]) -> list[tuple[Any, ...]]:
    """Bindings, as a script takes them."""
    return [(each.name, raw(encode(registered_of(each))), is_indexed(each), rate_of(each)) for each in bindings]
