"""Ids of events: unique everywhere, and cheap, since each emit needs one.

Units: none.
"""

import itertools
import secrets
from collections.abc import Callable, Iterator

_SUFFIXES = tuple(f"{number:02x}" for number in range(256))


def unique_ids() -> Callable[[], str]:
    """A source of ids: 80 random bits drawn once, then a count.

    One system call for each source instead of one for each id. Ids of one source sort by age within 256.
    """
    return _count(secrets.token_hex(10)).__next__


def _count(prefix: str) -> Iterator[str]:
    blocks = itertools.count()
    while True:
        block = next(blocks)
        beginning = f"{prefix}-{block:x}"
        for suffix in _SUFFIXES:
            yield beginning + suffix
