"""What is bought, and what may keep that from being so."""

import attrs


@attrs.frozen(kw_only=True)
class Purchase:
    """One order, as its workflow gets it."""

    number: int
    date: str
    customer: str
    cds: int
    cents: int


@attrs.define
class OutOfStock(Exception):
    """There are not so many CDs on the shelves."""

    cds: int

    def __str__(self) -> str:
        return f"there are no {self.cds} CDs left"


class PaymentRefused(Exception):
    """The customer's bank said no."""


class NoSuchAddress(Exception):
    """The order can't be created, although it was paid."""
