"""What tests of the runtime share."""

import pytest

from tests.runtime.hearing import Heard


@pytest.fixture
def heard() -> Heard:
    return Heard()
