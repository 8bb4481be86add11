"""One process of a service: its runtime, from its making to a clean end, or an unclean one that says so.

Units: seconds.
"""

import gc
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import anyio
import attrs

from postroom_actors import current_port

from ..capabilities import Capability, check_capability
from ..changes import Change
from ..dead_letters import text_of
from ..errors import PostroomError
from ..local import Local
from ..runtime import Runtime
from ..settings import Role, check_role
from .control import open_control
from .desk import Desk
from .loading import Loaded, load
from .meter import Meter
from .output import complain, safe_lines
from .statuses import DONE, NOT_DONE, USAGE, Refused
from .stopping import MARGIN, StoppedInImport, Stopping
from .waking import woken_by_signals

_log: Final = logging.getLogger("postroom.run")

MOST_CUT: Final = 10_000
"""Handlers cut short that are told by name."""

Backend: TypeAlias = Literal["asyncio", "trio", "uvloop"]


@attrs.frozen(kw_only=True)
class Wanted:
    """What the command line asks of a process.

    Attributes:
        role, drain: In place of what the runtime says; None for that.
        control: Where the control socket is to be; None for none.
        shares: There are other processes beside it.
    """

    app: str
    role: Role | None = None
    drain: float | None = None
    backend: Backend = "asyncio"
    control: Path | None = None
    shares: bool = False


@attrs.define(eq=False)
class Life:
    """How far a process has come.

    Attributes:
        started: The runtime is open.
        lost: Deliveries that were waiting, in memory, when it ended.
    """

    started: bool = False
    cut: list[Change] = attrs.field(factory=list)
    lost: int = 0


def run_process(wanted: Wanted, stopping: Stopping) -> int:
    """Run a service until it is told to end; returns the exit status."""
    stopping.install()
    try:
        loaded = load(wanted.app)
        stopping.imported()
    except StoppedInImport:
        return DONE
    life = Life()
    backend, options = backend_of(wanted.backend)
    try:
        anyio.run(_serve, loaded, wanted, stopping, life, backend=backend, backend_options=options)
    except (Refused, PostroomError) as error:
        stopping.status = _failed(error, life)
    except BaseExceptionGroup as group:
        stopping.status = _failed(group, life)
    except (KeyboardInterrupt, SystemExit) as error:  # of a handler: signals raise nothing here
        if not life.started:
            raise
        stopping.status = _failed(error, life)
    except Exception as error:
        stopping.status = _failed(error, life)
    else:
        stopping.status = _told(life)
    # The interpreter's last collection looks at everything that was ever imported, a tenth of a second of the half
    # that a stop may take; nothing is in those cycles that has to be closed.
    gc.freeze()
    return stopping.status


def backend_of(name: Backend) -> tuple[str, dict[str, Any]]:
    """As anyio calls it."""
    return ("asyncio", {"use_uvloop": True}) if name == "uvloop" else (name, {})


def _failed(error: BaseException, life: Life) -> int:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, Refused | PostroomError):
        complain(str(error))
        return NOT_DONE if life.started else USAGE
    if isinstance(error, KeyboardInterrupt | SystemExit):
        complain(f"a handler raised {type(error).__name__}")
        return NOT_DONE
    complain("the service has fallen:")
    complain(safe_lines(text_of(error)))
    return NOT_DONE


def _told(life: Life) -> int:
    """Say what the end has cut short; returns the exit status."""
    for change in life.cut:
        complain(
            f"cut short: {change.subscription} with {change.event_name} {change.event_id} in attempt {change.attempt}"
        )
    if life.lost:
        complain(f"{life.lost} deliveries were waiting in memory, and are lost")
    return NOT_DONE if life.cut or life.lost else DONE


async def _serve(loaded: Loaded, wanted: Wanted, stopping: Stopping, life: Life) -> None:
    port, stop = current_port(), anyio.Event()
    with anyio.CancelScope() as block, woken_by_signals():

        def heard() -> None:
            if not life.started or stopping.count > 1:
                block.cancel()
            stop.set()

        stopping.listen(lambda: port.submit(heard))
        try:
            await _serve_until(stop, loaded, wanted, stopping, life)
        finally:
            stopping.deaf()


async def _serve_until(stop: anyio.Event, loaded: Loaded, wanted: Wanted, stopping: Stopping, life: Life) -> None:
    runtime = await loaded.make()
    configure(runtime, wanted)
    stopping.patience = runtime.drain_within + runtime.cleanup_within + MARGIN
    stopping.hung = lambda: names_of_busy(runtime)
    meter = None
    async with AsyncExitStack() as stack:
        changes = await stack.enter_async_context(runtime.watch(limit=MOST_CUT))
        if wanted.control is not None:
            meter = Meter()
            runtime.intercept(meter.around)
            stopping.before_end = lambda: cast("Path", wanted.control).unlink(missing_ok=True)
            desk = Desk(runtime, meter)
            await stack.enter_async_context(open_control(desk, wanted.control))
        cancelled = 0
        try:
            async with runtime:
                life.started = True
                _say_ready(loaded, runtime, wanted)
                await stop.wait()
                _log.info("draining for at most %g s", runtime.drain_within)
                cancelled = runtime.stats.cancelled
        finally:
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + MARGIN):
                life.cut = [change async for change in changes if change.kind == "cut_short"]
            if life.started and isinstance(runtime.module, Local):
                life.lost = max(0, runtime.stats.cancelled - cancelled - len(life.cut))


def _say_ready(loaded: Loaded, runtime: Runtime, wanted: Wanted) -> None:
    control = "" if wanted.control is None else f", control at {wanted.control}"
    _log.info(
        "%s is at work: %d subscription(s) on %s, role %s%s",
        loaded.name,
        len(runtime.subscriptions),
        runtime.module.name,
        runtime.role,
        control,
    )


def configure(runtime: Runtime, wanted: Wanted) -> None:
    """Let what the command line says win over what the runtime says.

    Raises:
        Unsupported: the runtime's event module can't do it.
        InvalidOption: a value that there can't be.
    """
    if wanted.shares:
        check_capability(runtime.module.name, runtime.module.capabilities, Capability.SHARED, "`--processes`")
    if wanted.role is not None:
        check_role(runtime, None, wanted.role)
        runtime.role = wanted.role
    if wanted.drain is not None:
        runtime.drain_within = wanted.drain


def names_of_busy(runtime: Runtime) -> list[str]:
    """Whose handlers are at work. May be called in any thread."""
    return [name for name, each in tuple(runtime.subscriptions.items()) if each.stats.in_hand]
