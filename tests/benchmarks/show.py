"""The tables that a person sees; 80 columns are enough for them."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from .measure import Comparison, Memory

STYLES: Final = {"yes": "green", "nearly": "yellow", "no": "red", None: ""}


def show_comparisons(console: Console, comparisons: Sequence[Comparison]) -> None:
    """Print the tables of each backend, and what the scenarios are."""
    if not comparisons:
        return
    for backend, heading in dict.fromkeys((each.backend, each.table) for each in comparisons):
        table = _table(f"{backend}: CPU time in µs, {heading}", "scenario")
        for column in ("floor", "postroom", "best", "median", "noise", "first", "goal", "reached"):
            table.add_column(column, justify="right", no_wrap=True)
        for each in comparisons:
            if (each.backend, each.table) == (backend, heading):
                table.add_row(*_cells(each))
        console.print(table)
        console.print()
    console.print(_legend(comparisons))
    console.print()


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)


def _cells(each: Comparison) -> tuple[str, ...]:
    style = STYLES[each.reached]
    return (
        each.scenario,
        f"{each.floor_microseconds:.2f}",
        f"{each.postroom_microseconds:.2f}",
        _styled(f"{each.ratio_best:.2f}", style),
        _styled(f"{each.ratio_median:.2f}", style),
        f"{each.noise_lowest:.2f}–{each.noise_highest:.2f}",
        _goal(each.first_goal),
        _goal(each.goal),
        _styled(each.reached or "", style),
    )


def _styled(text: str, style: str) -> str:
    return f"[{style}]{text}[/]" if style and text else text


def _goal(goal: float | None) -> str:
    return "" if goal is None else f"{goal:.2f}"


def _legend(comparisons: Sequence[Comparison]) -> Table:
    table = _table("What is what", "scenario", "what it is", "floor")
    for each in {each.scenario: each for each in comparisons}.values():
        title = each.title if each.per == "event" else f"{each.title}; for each {each.per}"
        table.add_row(each.scenario, title, each.beside)
    return table


def show_memory(console: Console, memory: Sequence[Memory]) -> None:
    """Print the bytes, all backends in one table."""
    if not memory:
        return
    table = _table("Memory: bytes (less is smaller)", "for each", "backend")
    for heading in ("taken off", memory[0].beside, "postroom", "goal", "reached"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in memory:
        style = STYLES[each.reached]
        table.add_row(
            each.title,
            each.backend,
            f"{each.bare:,.0f}",
            f"{each.floor:,.0f}",
            _styled(f"{each.postroom:,.0f}", style),
            f"{each.goal:,}",
            _styled(each.reached, style),
        )
    console.print(table)
