"""What the storefront says of what postroom logs."""

import logging
from collections.abc import Iterator

import pytest

from examples.storefront.shop import MailServerBusy
from examples.storefront.stock import ClerkFainted
from examples.storefront.telling import tell_of_postroom
from postroom.log import GAVE_UP, RESTARTED, RETRYING, STORE_FAILED, Log


@pytest.fixture(autouse=True)
def _telling() -> Iterator[None]:
    log = logging.getLogger("postroom")
    level, handlers = log.level, list(log.handlers)
    tell_of_postroom("storefront")
    yield
    log.setLevel(level)
    log.handlers = handlers


def test_a_store_without_room_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    Log().write(STORE_FAILED, "sqlite", "take events", "StoreFull")
    told = capsys.readouterr().err
    assert told == "storefront: the sqlite store could not take events (StoreFull); it is asked again\n"


def test_what_fails_on_purpose_is_not_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    Log().write(RETRYING, 1, "mailer", "order.placed", "a", MailServerBusy.__name__, 0.1)
    Log().write(GAVE_UP, "mailer", "order.placed", "a", 4, MailServerBusy.__name__)
    Log().write(RESTARTED, "warehouse", ClerkFainted.__name__, 0.0)
    assert capsys.readouterr().err == ""


def test_a_dead_letter_for_another_reason_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    Log().write(GAVE_UP, "customers", "order.placed", "order-7", 1, "StoreFull")
    assert "customers gave up on order.placed order-7" in capsys.readouterr().err
