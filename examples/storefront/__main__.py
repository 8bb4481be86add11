"""A CD shop's orders, replayed through subscriber actors, each event acknowledged.

Run: python -m examples.storefront [--orders FILE] [--fail SHARE] [--crash SHARE] [--backend trio|asyncio] [--json] ...
Prints: a table of the subscriptions, the shop's totals and its revenue by month; with --json one object instead.
Status: 0; 1 where standard output can't be written; 2 for arguments, a file or a store that can't be used, or no order;
130 after Ctrl-C and 143 after SIGTERM (both finish the orders in hand, for 30 seconds at most, and print first; a
second one leaves at once).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import anyio
import attrs

from postroom import Full, PostroomError, StoreBroken, UnknownResult

from .books import Books, BooksBroken
from .chain import Chain
from .modules import OWN_SERVER, books_of, check_module
from .orders import count_orders
from .replay import Replay
from .result import result_of, result_of_chain
from .server import NoServer, make_server
from .shop import Shop
from .show import Screen, show, show_chain
from .telling import say, tell_of_postroom

ORDERS = Path(__file__).parent.parent / "data" / "cdnow_orders.csv"
LONGEST_FILE_NAME = 200

# `Full`: the store's, for longer than an emit waits for room.
TROUBLE = (StoreBroken, Full, UnknownResult, NoServer, BooksBroken)
"""What ends a run with one line."""


@attrs.frozen(kw_only=True)
class Arguments:
    """What the command line asks for."""

    orders: Path
    fail: float
    pack: float
    crash: float
    backend: str
    tills: int
    json: bool
    module: str
    processes: int
    books: Path | None
    kill_one: int
    kill_server: int


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="storefront", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--orders", type=Path, default=ORDERS, metavar="FILE", help="the orders to replay (CSV)")
    add("--fail", type=_share, default=0.02, metavar="SHARE", help="share of the mailer's attempts that fail (0 to 1)")
    add("--pack", type=_seconds, default=0.00005, metavar="SECONDS", help="time it takes to pack an order (0 to 60)")
    add("--crash", type=_share, default=0, metavar="SHARE", help="share of the stock's attempts that crash (0 to 1)")
    add("--backend", choices=("trio", "asyncio"), default="trio", help="the event loop")
    add("--tills", type=_tills, default=8, metavar="N", help="tills that emit at once (1 to 1000)")
    add("--module", default="local", help="local, sqlite:FILE, redis:URL, or redis for an own server")
    add("--processes", type=_processes, default=1, metavar="N", help="processes that handle orders (1 to 64)")
    add("--books", type=Path, metavar="FILE", help="the books of several processes (a SQLite file)")
    add("--kill-one", type=_orders, default=0, metavar="N", help="kill one of the processes after N orders")
    add("--kill-server", type=_orders, default=0, metavar="N", help="kill and restart the own server after N orders")
    add("--json", action="store_true", help="print one JSON object and nothing else")
    asked = Arguments(**vars(parser.parse_args(arguments)))
    if asked.kill_server and asked.module != OWN_SERVER:
        parser.error("--kill-server needs a server of the run's own: --module redis")
    if asked.module == "local":
        if asked.processes > 1 or asked.kill_one or asked.books:
            parser.error("--processes, --books and --kill-one need a module that processes share: sqlite:FILE or redis")
        return asked
    if asked.kill_one and asked.processes == 1:
        parser.error("--kill-one needs others that go on: --processes 2 or more")
    try:
        check_module(asked.module)
    except (ValueError, PostroomError) as error:
        parser.error(f"--module: {error}")
    return asked


def _share(text: str) -> float:
    return _number(text, float, 0, 1)


def _seconds(text: str) -> float:
    return _number(text, float, 0, 60)


def _tills(text: str) -> int:
    return int(_number(text, int, 1, 1000))


def _processes(text: str) -> int:
    return int(_number(text, int, 1, 64))


def _orders(text: str) -> int:
    return int(_number(text, int, 1, 1_000_000_000))


def _number(text: str, kind: type[int] | type[float], least: int, most: int) -> float:
    try:
        value = kind(text)
        if least <= value <= most:  # false for NaN too
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text[:40]!r} is no {kind.__name__} from {least} to {most}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    try:
        asked = parse(arguments)
        with ExitStack() as stack:
            own = asked.module == OWN_SERVER
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="storefront-")) if own else None
            return _run(asked, None if folder is None else Path(folder))
    except KeyboardInterrupt:  # before the first order, or while printing
        return 130


def _run(asked: Arguments, folder: Path | None) -> int:
    progress = not asked.json and sys.stderr is not None and sys.stderr.isatty()
    shop = Shop(fail=asked.fail, pack_for=asked.pack, crash=asked.crash)
    replay = None
    try:
        most = max(asked.kill_one, asked.kill_server)
        is_counted = most and asked.orders.is_file()  # a pipe is read only once
        if is_counted and (late := _too_late(asked, count_orders(asked.orders, most))):
            say(f"storefront: {late}")
            return 2
        replay = _replay(asked, shop, folder, progress=progress)
        anyio.run(replay.run, backend=asked.backend)
    except OSError as error:
        return _cant_read(asked.orders, error)
    except TROUBLE as error:
        return _ended_by(error, replay)
    except ExceptionGroup as group:  # out of the block in which the signals are waited for
        trouble, others = group.split(TROUBLE)
        if trouble is None or others is not None:
            raise
        return _ended_by(_first_of(trouble), replay)
    return _end(asked, replay)


def _end(asked: Arguments, replay: Replay) -> int:
    """Print what came of it; returns the exit status."""
    status = 0 if replay.stopped_by is None else 128 + replay.stopped_by
    if replay.cut_short:
        return status
    if not replay.read and status == 0 and replay.broken is None:
        return _holds_no_order(asked.orders, replay.rejected)
    if not _print(replay, as_json=asked.json):
        return 1
    if replay.broken is not None:
        return _cant_read(asked.orders, replay.broken)
    if status == 0 and isinstance(replay, Chain) and (late := _too_late(asked, replay.sold)):
        say(f"storefront: {late}")
        return 2
    return status


def _ended_by(error: BaseException, replay: Replay | None) -> int:
    say(f"storefront: {error}")
    if replay is None or not replay.read:
        return 2
    say(f"storefront: {replay.unfinished()}")
    return 2 if replay.stopped_by is None else 128 + replay.stopped_by


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _too_late(asked: Arguments, orders: int) -> str | None:
    """Why somebody was not killed; None where there was no reason."""
    for option, after in (("--kill-one", asked.kill_one), ("--kill-server", asked.kill_server)):
        if after > orders:
            return f"{option} {after}: nobody is killed, since there are only {orders:,} orders"
    return None


def _replay(asked: Arguments, shop: Shop, folder: Path | None, *, progress: bool) -> Replay:
    if asked.module == "local":
        return Replay(path=asked.orders, shop=shop, tills=asked.tills, progress=progress)
    server = None if folder is None else make_server(folder)
    # With a server that ends with the run, the books do as well, unless they were asked for.
    books = asked.books or (books_of(asked.module) if folder is None else folder / "books")
    return Chain(
        path=asked.orders,
        shop=shop,
        tills=asked.tills,
        module=asked.module if server is None else f"redis:{server.url}",
        books=Books(books),
        backend=asked.backend,
        processes=asked.processes,
        kill_one=asked.kill_one,
        server=server,
        kill_server=asked.kill_server,
    )


def _cant_read(path: Path, error: OSError) -> int:
    say(f"storefront: can't read {str(path)[:LONGEST_FILE_NAME]!r}: {error.strerror}")
    return 2


def _holds_no_order(path: Path, rejected: int) -> int:
    why = f"all {rejected:,} of its rows were rejected" if rejected else "it has no rows"
    say(f"storefront: no order in {str(path)[:LONGEST_FILE_NAME]!r}: {why}")
    return 2


def _print(replay: Replay, *, as_json: bool) -> bool:
    """Print the result; False where that failed, after saying why."""
    result = result_of_chain(replay) if isinstance(replay, Chain) else result_of(replay)
    if sys.stdout is None:
        say("storefront: can't write to standard output: it is closed")
        return False
    try:
        if as_json:
            print(json.dumps(attrs.asdict(result)), flush=True)
        elif isinstance(replay, Chain):
            show_chain(Screen(), result, replay.seconds)
        else:
            show(Screen(), result, replay.shop, replay.runtime, replay.dead, replay.seconds)
    except OSError as error:
        say(f"storefront: can't write to standard output: {error.strerror}")
        sys.stdout = None  # what is left in its buffer would fail again at the end
        return False
    return True


if __name__ == "__main__":
    tell_of_postroom("storefront")
    sys.exit(main())
