"""Workflows that the tests of the command line run, look at, and try against their journals."""

import os
import signal

import anyio

from postroom import Flow, PermanentFailure, StepContext, step, workflow

mended = False
"""Whether what could not be undone can be now."""


async def release(reserved: object, context: StepContext) -> None:
    if reserved == 13 and not mended:
        raise ConnectionError("the stock does not answer")


@step(compensate=release)
async def reserve(order: dict[str, object]) -> object:
    return order["cds"]


@step
async def pay(order: dict[str, object]) -> str:
    if order.get("refused"):
        raise PermanentFailure("\x1b[31mrefused")
    return "paid"


@workflow(name="checkout")
async def checkout(flow: Flow, order: dict[str, object]) -> str:
    await flow.run(reserve, order)
    return await flow.run(pay, order)


@workflow(name="checkout")
async def changed(flow: Flow, order: dict[str, object]) -> str:
    paid = await flow.run(pay, order)
    await flow.run(reserve, order)
    return paid


@workflow(name="checkout")
async def interrupted(flow: Flow, order: dict[str, object]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await anyio.sleep_forever()


nothing = None
