"""`Runtime.intercept`: interceptors of those who run a runtime that others have made."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from postroom import Context, Event, InvalidOption, Runtime

pytestmark = pytest.mark.anyio


async def test_an_interceptor_that_is_added_later_stands_outside_of_the_others() -> None:
    seen: list[str] = []

    def named(name: str) -> Any:
        async def around(context: Context, call_next: Callable[[], Awaitable[Any]]) -> Any:
            seen.append(name)
            return await call_next()

        return around

    async def handler(event: Event) -> None:
        seen.append("handler")

    runtime = Runtime(interceptors=[named("first")])
    runtime.intercept(named("second"))
    async with runtime:
        await runtime.spawn(handler, "n")
        await runtime.emit_and_wait("n")
        with pytest.raises(InvalidOption, match="too late"):
            runtime.intercept(named("third"))
    assert seen == ["second", "first", "handler"]


async def test_what_is_no_interceptor_is_refused_and_nothing_is_added() -> None:
    runtime = Runtime()
    with pytest.raises(InvalidOption):
        runtime.intercept("no function")  # type: ignore[arg-type]  # what is tested
    assert runtime.interceptors == ()
