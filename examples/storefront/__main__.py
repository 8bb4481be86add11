"""A CD shop's orders, replayed through subscriber actors, each event acknowledged.

Run: python -m examples.storefront [--orders FILE] [--fail SHARE] [--backend trio|asyncio] [--tills N] [--json]
Prints: a table of the subscriptions, the shop's totals and its revenue by month; with --json one object instead.
Status: 0; 130 after Ctrl-C and 143 after SIGTERM (both drain and print first); 2 for what can't be run.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import BinaryIO

import anyio
import attrs
from rich.console import Console
from rich.progress import Progress

from postroom import Runtime

from .orders import Rejected, read_orders
from .result import Result, result_of, stats_by_subscription
from .shop import Shop
from .show import show
from .tills import Queue, run_tills

ORDERS = Path(__file__).parent.parent / "data" / "cdnow_orders.csv"
MOST_REJECTED_SHOWN = 20
LONGEST_FILE_NAME = 200


@attrs.frozen(kw_only=True)
class Arguments:
    """What the command line asks for."""

    orders: Path
    fail: float
    backend: str
    tills: int
    json: bool


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="storefront", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=Path, default=ORDERS, metavar="FILE", help="the orders to replay (CSV)")
    parser.add_argument(
        "--fail", type=_share, default=0.02, metavar="SHARE", help="share of the mailer's attempts that fail (0 to 1)"
    )
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="trio", help="the event loop")
    parser.add_argument("--tills", type=_tills, default=8, metavar="N", help="tills that emit at once (1 to 1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return Arguments(**vars(parser.parse_args(arguments)))


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share between 0 and 1")
    return value


def _tills(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no number of tills between 1 and 1000")
    return value


@attrs.define(eq=False)
class Run:
    """One replay of a file of orders.

    Attributes:
        interrupted_by: The signal that ended it early.
        seconds: How long it took.
    """

    arguments: Arguments
    file: BinaryIO
    shop: Shop
    queue: Queue = attrs.field(init=False)
    runtime: Runtime = attrs.field(init=False)
    interrupted_by: signal.Signals | None = None
    seconds: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.queue = Queue(read_orders(self.file), self._tell_rejected)
        self.runtime = Runtime(subscribers=self.shop.subscribers())

    async def main(self) -> Result:
        """Replay the whole file, or until a signal says stop."""
        start = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_signals)
            tasks.start_soon(self._show_progress)
            async with self.runtime:
                await run_tills(self.runtime, self.queue, self.arguments.tills)
            tasks.cancel_scope.cancel()
        self.seconds = time.perf_counter() - start
        return result_of(self.shop, self.queue, self.runtime)

    async def _watch_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if self.interrupted_by is not None:
                    raise KeyboardInterrupt  # twice means now
                self.interrupted_by = number
                self.queue.closed = True

    async def _show_progress(self) -> None:
        if self.arguments.json or not sys.stderr.isatty():
            return
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("orders", total=max(1, self.arguments.orders.stat().st_size))
            while True:
                await anyio.sleep(0.05)
                progress.update(task, completed=self.file.tell(), description=f"{self.shop.orders:,} orders")

    def _tell_rejected(self, row: Rejected) -> None:
        if self.queue.rejected <= MOST_REJECTED_SHOWN:
            print(f"line {row.line}: {row.reason}", file=sys.stderr)
        elif self.queue.rejected == MOST_REJECTED_SHOWN + 1:
            print("more rejected rows follow; they are counted", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    asked = parse(arguments)
    try:
        file = asked.orders.open("rb")
    except OSError as error:
        print(f"storefront: can't read {str(asked.orders)[:LONGEST_FILE_NAME]!r}: {error.strerror}", file=sys.stderr)
        return 2
    with file:
        run = Run(asked, file, Shop(asked.fail, Random(20)))
        try:
            result = anyio.run(run.main, backend=asked.backend)
        except KeyboardInterrupt:
            return 130
    try:
        if asked.json:
            print(json.dumps(attrs.asdict(result)), flush=True)
        else:
            show(Console(), result, run.shop, stats_by_subscription(run.runtime), run.seconds)
            sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # whoever read has gone; nothing is left to say
    return 0 if run.interrupted_by is None else 128 + run.interrupted_by


if __name__ == "__main__":
    sys.exit(main())
