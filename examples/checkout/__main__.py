"""A CD shop's orders, each checked out by a workflow: reserve stock, take the payment, create the order, tell of it.

Run: python -m examples.checkout [--module local|sqlite:FILE|redis|redis:URL] [--refuse SHARE] [--bounce SHARE] ...
Prints: what became of the orders, and whether stock, payments, orders and ledger agree; with --json one object instead.
Status: 0; 1 where they do not agree; 2 for arguments or a file that can't be used; 130 after Ctrl-C and 143 after
SIGTERM (both finish the checkouts in hand and print first; a second one leaves at once).

The bank refuses some payments, and some orders bounce after they were paid: what had been done for those is undone.
Begun again with the same books, a run changes nothing that is in them.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import attrs
from rich.console import Console

from examples.storefront.__main__ import ORDERS
from examples.storefront.modules import OWN_SERVER, books_of, check_module, module_of
from examples.storefront.server import NoServer, make_server
from examples.storefront.shop import Shop
from examples.storefront.telling import say, tell_of_postroom
from postroom import PostroomError, StoreBroken

from .books import Books, Totals
from .sales import Sales
from .show import show
from .workflow import Fate


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:  # true for NaN too
        raise ValueError(text)
    return value


def count(text: str) -> int:
    """A number from 1 on."""
    value = int(text)
    if not 1 <= value <= 1_000_000_000:
        raise ValueError(text)
    return value


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(prog="checkout", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--orders", type=Path, default=ORDERS, metavar="FILE", help="the orders to check out (CSV)")
    add("--module", default="local", help="local, sqlite:FILE, redis:URL, or redis for an own server")
    add("--refuse", type=share, default=0.05, metavar="SHARE", help="share of the payments that are refused (0 to 1)")
    add("--bounce", type=share, default=0.01, metavar="SHARE", help="share that fails after it was paid (0 to 1)")
    add("--stock", type=count, default=20_000, metavar="N", help="CDs on the shelves, where the books are new")
    add("--seed", type=int, default=20, help="of what is refused and what bounces")
    add("--backend", choices=("trio", "asyncio"), default="trio", help="the event loop")
    add("--tills", type=count, default=64, metavar="N", help="checkouts at once")
    add("--books", type=Path, metavar="FILE", help="the books (a SQLite file), where they are to be kept")
    add("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args(arguments)
    if asked.module != "local":
        try:
            check_module(asked.module)
        except (ValueError, PostroomError) as error:
            parser.error(f"--module: {error}")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    try:
        asked = parse(arguments)
        with tempfile.TemporaryDirectory(prefix="checkout-") as folder:
            return _run(asked, Path(folder))
    except KeyboardInterrupt:  # before the first order, or while printing
        return 130


def _run(asked: argparse.Namespace, folder: Path) -> int:
    is_passing = asked.module in ("local", OWN_SERVER)
    try:
        with closing(
            Books(asked.books or (folder / "books" if is_passing else books_of(asked.module)), asked.stock)
        ) as books:
            sales = _sales(asked, books, folder)
            anyio.run(sales.run, backend=asked.backend)
            totals = books.totals()
    except OSError as error:
        return _cant(f"read {str(asked.orders)[:200]!r}: {error.strerror}")
    except sqlite3.Error as error:
        return _cant(f"use the books: {error}")
    except (StoreBroken, NoServer) as error:
        return _cant(f"go on: {error}")
    except ExceptionGroup as group:  # out of the block in which the signals are waited for
        broken, others = group.split((StoreBroken, NoServer))
        if broken is None or others is not None:
            raise
        return _cant(f"go on: {broken.exceptions[0]}")
    return _end(asked, sales, totals)


def _end(asked: argparse.Namespace, sales: Sales, totals: Totals) -> int:
    status = 0 if sales.stopped_by is None else 128 + sales.stopped_by
    if sales.cut_short:
        return status
    if sales.broken is not None:
        return _cant(f"read {str(asked.orders)[:200]!r}: {sales.broken.strerror}")
    if asked.json:
        about = {"orders_read": sales.read, "sold": sales.sold, "failed": dict(sorted(sales.failed.items()))}
        print(json.dumps({**about, **attrs.asdict(totals), "agree": totals.agree}), flush=True)
    else:
        show(Console(), sales, totals)
    return status or (0 if totals.agree else 1)


def _sales(asked: argparse.Namespace, books: Books, folder: Path) -> Sales:
    module: Any = None
    server = make_server(folder) if asked.module == OWN_SERVER else None
    if server is not None:
        module = module_of(f"redis:{server.url}", books.path)
    elif asked.module != "local":
        module = module_of(asked.module, books.path)
    fate = Fate(refuse=asked.refuse, bounce=asked.bounce, seed=asked.seed)
    return Sales(
        path=asked.orders, shop=Shop(), tills=asked.tills, module=module, books=books, fate=fate, server=server
    )


def _cant(what: str) -> int:
    say(f"checkout: can't {what}")
    return 2


if __name__ == "__main__":
    tell_of_postroom("checkout")
    sys.exit(main())
