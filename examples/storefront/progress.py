"""What a person sees on a terminal while it runs, on standard error: a progress bar."""

import anyio
from rich.console import Console
from rich.progress import Progress

from .shop import Shop
from .source import Source


async def show_progress(source: Source, shop: Shop) -> None:
    """Show how much of the source was read, until cancelled."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=source.size)
        while True:
            progress.update(task, completed=source.bytes_read, description=f"{shop.orders:,} orders")
            await anyio.sleep(0.05)
