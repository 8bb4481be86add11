"""Ids of events: unique everywhere, and cheap, since each emit needs one.

Units: none.
"""

import itertools
import secrets
from collections.abc import Callable, Iterator
from functools import partial

_SUFFIXES = tuple(f"{number:02x}" for number in range(256))


def unique_ids() -> Callable[[], str]:
    """A source of ids: 80 random bits drawn once, then a count. Any number of threads may draw from it.

    One system call for each source instead of one for each id. Ids of one source sort by age within 256.
    """
    blocks = map(partial(_block, secrets.token_hex(10)), itertools.count())
    # No generator: a thread that comes while another one is in the middle of it would get an error.
    return itertools.chain.from_iterable(blocks).__next__


def _block(prefix: str, number: int) -> Iterator[str]:
    return map(f"{prefix}-{number:x}".__add__, _SUFFIXES)
