"""Which errors a runtime raises that has fallen for several reasons at once."""

import pytest

from postroom.endings import raise_what_ended_it
from postroom.store_errors import StoreBroken

pytestmark = pytest.mark.anyio


def broken() -> StoreBroken:
    """As each task meets it that works with the store."""
    return StoreBroken("reference", "it is gone", "Open another one.")


async def test_a_store_that_broke_is_told_once_beside_other_errors() -> None:
    defect = ValueError("a defect")
    with pytest.raises(ExceptionGroup) as caught:
        raise_what_ended_it(None, ExceptionGroup("tasks", [broken(), ExceptionGroup("more", [broken(), defect])]), [])
    assert [type(error) for error in caught.value.exceptions] == [StoreBroken, ValueError]


async def test_errors_of_which_none_is_told_twice_come_out_as_the_group_that_they_were() -> None:
    group = ExceptionGroup("tasks", [broken(), ValueError("a defect")])
    with pytest.raises(ExceptionGroup) as caught:
        raise_what_ended_it(None, group, [])
    assert caught.value is group or caught.value.exceptions == group.exceptions
