"""`postroom top`: a live table of subscriptions."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.live import Live
from rich.table import Table

from ..output import Column, Output, duration_of, table_of
from ..targets import Target, Where, open_target, run_waiting

OF_PROCESS: Final = (
    Column("subscription"),
    Column("rate/s", True),
    Column("mailbox", True),
    Column("in hand", True),
    Column("p50", True),
    Column("p99", True),
    Column("failures", True),
    Column("restarts", True),
    Column("state"),
)
OF_STORE: Final = (
    Column("subscription"),
    Column("waiting", True),
    Column("delayed", True),
    Column("in hand", True),
    Column("dead", True),
    Column("served by", True),
    Column("state"),
)


def top(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    interval: Annotated[float, Parameter(validator=Number(gte=0.1, lte=3600))] = 1.0,
    control: Annotated[Sequence[Path], Parameter(negative=(), group="Which service")] = (),
    module: Annotated[str | None, Parameter(env_var="POSTROOM_MODULE", group="Which service")] = None,
    namespace: Annotated[str, Parameter(group="Which service")] = "default",
    app: Annotated[str | None, Parameter(group="Which service")] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show subscriptions at work, again and again until Ctrl-C.

    Over a control socket: how fast, how long, and what failed, of one process. From a store: what waits, of all.

    Args:
        once: Show one table, of two looks that are an interval apart, and end.
        interval: Seconds between two looks.
        control: The control socket of a process, as often as there are processes.
        module: A store: sqlite:FILE, or a URL of Redis.
        namespace: Whose events in Redis.
        app: A service, module:attribute, for the store that it uses.
        json: One object a line for programs.
    """
    places = [Where(control=each) for each in control] or [Where(module=module, namespace=namespace, app=app)]
    out = Output(json)

    async def body() -> None:
        async with AsyncExitStack() as stack:
            targets = [await stack.enter_async_context(open_target(each)) for each in places]
            await look_on(targets, out, interval, once=once)

    return run_waiting(body)


async def look_on(targets: Sequence[Target], out: Output, interval: float, *, once: bool) -> None:
    before: list[Any] = [await target.ask("top", {}) for target in targets]
    with ExitStack() as stack:
        live: Live | None = None
        if not out.json and not once and out.console.is_terminal:
            live = stack.enter_context(Live(console=out.console, auto_refresh=False, screen=True))
        # Rates are of two looks; a store has none, and is shown as it is now.
        is_early = any(each["source"] == "process" for each in before)
        while True:
            await anyio.sleep(interval if is_early else 0)
            is_early = True
            now: list[Any] = [await target.ask("top", {}) for target in targets]
            looks = [with_rates(later, earlier) for later, earlier in zip(now, before, strict=True)]
            before = now
            if out.json:
                for look in looks:
                    out.value(look)
            elif live is not None:
                live.update(_table(looks), refresh=True)
            else:
                out.console.print(_table(looks))
            if once:
                return


def with_rates(later: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen, with how many deliveries a second each subscription has handled since it was seen before."""
    window = later["stopwatch"] - earlier["stopwatch"]
    handled = {each["name"]: each.get("handled", 0) for each in earlier["subscriptions"]}
    rows = []
    for each in later["subscriptions"]:
        if "handled" in each:
            count = each["handled"] - handled.get(each["name"], 0)
            each = each | {"rate": max(0.0, count / window) if window > 0 else 0.0}
        rows.append(each)
    return {key: value for key, value in later.items() if key != "stopwatch"} | {"subscriptions": rows}


def _table(looks: Sequence[Mapping[str, Any]]) -> Table:
    if looks[0]["source"] == "store":
        return table_of(OF_STORE, [_of_store(each) for look in looks for each in look["subscriptions"]])
    if len(looks) == 1:
        return table_of(OF_PROCESS, [_of_process(each) for each in looks[0]["subscriptions"]])
    rows = [(look["process"], *_of_process(each)) for look in looks for each in look["subscriptions"]]
    return table_of([Column("process"), *OF_PROCESS], [(str(process), *row) for process, *row in rows])


def _of_process(each: Mapping[str, Any]) -> tuple[object, ...]:
    state = "stuck" if each["stuck"] else "paused" if each["paused"] else ""
    return (
        each["name"],
        each["rate"],
        f"{each['mailbox']}/{each['capacity']}",
        each["in_hand"],
        duration_of(each["p50"]),
        duration_of(each["p99"]),
        each["failures"],
        each["restarts"],
        state,
    )


def _of_store(each: Mapping[str, Any]) -> tuple[object, ...]:
    state = "paused" if each["paused"] else "" if each["served_by"] else "nobody serves it"
    return (
        each["name"],
        each["waiting"],
        each["delayed"],
        each["in_hand"],
        each["dead"],
        len(each["served_by"]),
        state,
    )


def register(app: App) -> None:
    """Add the command."""
    app.command(top)
