"""What a command is about: a store, or a service that runs; and how commands that wait are run.

An operator needs no code of the service: `--module sqlite:FILE` or `redis://…` opens the store, `--control PATH` asks a
process. `--app` imports a service, for what it says of its store.
"""

import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import anyio
import attrs
from cyclopts import Parameter

from ..contract import EventModule
from ..local import Local
from ..modules.redis import RedisModule
from ..modules.sqlite import SqliteModule
from ..quoting import quoted
from ..runtime import Runtime
from .control import Client
from .desk import Desk
from .loading import load
from .statuses import DONE, Refused

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

QUIET_DRAIN: Final = 1.0
"""Seconds for the end of a runtime that was opened to ask."""


@Parameter(name="*", group="Which service")
@attrs.frozen(kw_only=True)
class Where:
    """What a command is about."""

    module: Annotated[
        str | None,
        Parameter(
            env_var="POSTROOM_MODULE",
            help="A store: sqlite:FILE, or a URL of Redis. With a password, better by the environment: others see the "
            "arguments of a process.",
        ),
    ] = None
    namespace: Annotated[str, Parameter(help="Whose events in Redis.")] = "default"
    control: Annotated[
        Path | None, Parameter(help="The control socket of a process that `postroom run --control PATH` runs.")
    ] = None
    app: Annotated[str | None, Parameter(help="A service, module:attribute, for the store that it uses.")] = None


NOWHERE: Final = Where()


class Target(Protocol):
    """What answers an operator; `Desk` and `Client` do."""

    async def ask(self, what: str, arguments: Mapping[str, Any]) -> Any: ...
    def tail(self, pattern: str) -> AbstractAsyncContextManager[AsyncIterator[Any]]: ...


def module_of(text: str, namespace: str) -> EventModule:
    """The event module that `--module` stands for.

    Raises:
        Refused: it stands for none, or for a file that is not there.
        PostroomError: the module can't be made of it.
    """
    kind, _, rest = text.partition(":")
    if kind == "sqlite" and rest:
        if not os.path.exists(rest):
            raise Refused(f"there is no file {quoted(rest)}: the service that uses it makes it")
        return SqliteModule(rest)
    if kind in ("redis", "rediss", "redis+sentinel", "rediss+sentinel"):
        return RedisModule(text, namespace=namespace)
    raise Refused(
        f"--module {quoted(kind + ':…' if rest else text)} is none: write sqlite:FILE, or redis://HOST:PORT/DB"
    )


@asynccontextmanager
async def open_target(where: Where) -> AsyncGenerator[Target]:
    """A block with what answers.

    Raises:
        Refused: nothing was named, or too much; or it can't be used.
    """
    if where.control is not None:
        if where.app is not None:
            raise Refused("--control and --app name two services: leave one out")
        yield Client(where.control)
        return
    if where.app is not None:
        made = await load(where.app).make()
        module = made.module
        if isinstance(module, Local):
            raise Refused(
                f"{where.app} keeps its events in the memory of its process: ask that one, with --control PATH"
            )
    elif where.module is not None:
        module = module_of(where.module, where.namespace)
    else:
        raise Refused("which service? Give --module sqlite:FILE or redis://…, --control PATH, or --app module:runtime")
    async with Runtime(module=module, drain_within=QUIET_DRAIN, watchdog=None) as runtime:
        yield Desk(runtime)


def run_waiting(body: Callable[[], Awaitable[int | None]]) -> int:
    """Run a command that waits; a signal ends it tidily.

    Returns:
        Its exit status; 128 and the number of the signal that has ended it.
    """

    async def main() -> int:
        heard: list[int] = []
        status: int | None = DONE

        async def listen(block: anyio.CancelScope, *, task_status: Any) -> None:
            with anyio.open_signal_receiver(*ENDING) as signals:
                task_status.started()
                async for number in signals:
                    heard.append(number)
                    block.cancel()

        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as block:
                await tasks.start(listen, block)
                status = await body()
            tasks.cancel_scope.cancel()
        return 128 + heard[0] if heard else (status or DONE)

    return anyio.run(main)


def ask(where: Where, what: str, **arguments: Any) -> Any:
    """One question, and its answer.

    Raises:
        Refused: it can't be asked; or a signal came first.
    """
    answers: list[Any] = []

    async def body() -> None:
        async with open_target(where) as target:
            answers.append(await target.ask(what, arguments))

    status = run_waiting(body)
    if status:
        raise Refused("interrupted", status)
    return answers[0]
