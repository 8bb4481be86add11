"""Event modules by what the command line calls them."""

import hashlib
from pathlib import Path
from typing import Final

from postroom import EventModule
from postroom.modules.redis import RedisModule
from postroom.modules.sqlite import SqliteModule

LEASE: Final = 3.0
"""Seconds after which others take over from a branch that was killed: short, so that a demonstration is."""

OWN_SERVER: Final = "redis"
"""What stands for a Redis server of the run's own."""

REDIS_BOOKS: Final = "storefront.books"
"""Where the books are with a Redis server that is there already."""

SCHEMES: Final = ("redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://")


def _parts_of(text: str) -> tuple[str, str]:
    """Kind and rest; a URL alone is `redis:URL`."""
    kind, _, rest = text.partition(":")
    return ("redis", text) if text.startswith(SCHEMES) else (kind, rest)


def check_module(text: str) -> None:
    """Look at what the command line calls a module.

    Raises:
        ValueError: it stands for none.
        PostroomError: it is one that can't be had.
    """
    kind, rest = _parts_of(text)
    if kind == "redis" and rest.startswith(SCHEMES):
        RedisModule(rest)
    elif text == OWN_SERVER:
        RedisModule("redis://localhost")
    elif kind != "sqlite" or not rest:
        shown = "that" if "@" in text else repr(text[:40])  # a URL may have a password
        raise ValueError(f"{shown} is none: use local, sqlite:FILE, redis or redis:URL")


def module_of(text: str, books: Path) -> EventModule:
    """The module that `sqlite:FILE` or `redis:URL` stands for.

    Args:
        books: Where the books are: on Redis, the events are in a namespace that goes with them, so that what was
            handled into other books is no reason not to handle it into these.
    """
    kind, rest = _parts_of(text)
    if kind == "sqlite":
        return SqliteModule(rest, lease=LEASE)
    name = hashlib.blake2b(str(books.resolve()).encode(), digest_size=8).hexdigest()
    # A server that is being restarted is waited for, so that no call fails for it.
    return RedisModule(rest, namespace=f"storefront-{name}", lease=LEASE, wait_for_server=LEASE)


def books_of(text: str) -> Path:
    """Where the books are, unless the command line says so."""
    kind, rest = _parts_of(text)
    return Path(rest + ".books") if kind == "sqlite" else Path(REDIS_BOOKS)
