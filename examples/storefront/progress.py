"""What a person sees while it runs, on standard error: a progress bar, and lines about what went wrong."""

import sys

import anyio
from rich.console import Console
from rich.progress import Progress

from .shop import Shop
from .source import Source


def say(text: str) -> None:
    """Print one line, if somebody can still hear it."""
    if sys.stderr is not None:  # else `print` would fall back to standard output
        try:
            print(text, file=sys.stderr, flush=True)
        except OSError:
            sys.stderr = None  # nobody reads it; that must not end the work


async def show_progress(source: Source, shop: Shop) -> None:
    """Show how much of the source was read, until cancelled."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=source.size)
        while True:
            progress.update(task, completed=source.bytes_read, description=f"{shop.orders:,} orders")
            await anyio.sleep(0.05)
