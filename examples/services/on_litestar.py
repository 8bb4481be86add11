"""A shop on Litestar: takes signed webhooks, keeps a ledger of the orders, and streams what happens.

Run: uvicorn examples.services.on_litestar:app, or hypercorn -k trio examples.services.on_litestar:app
Settings: see shop.py.
"""

from typing import Any

from litestar import Litestar, get, post
from litestar.params import JSONBody

from examples.services.shop import ORDERS, make_runtime
from postroom.integrations.litestar import CurrentRuntime, Postroom

postroom = Postroom(make_runtime)


@post("/orders", status_code=202)
async def order(runtime: CurrentRuntime, data: JSONBody[dict[str, Any]]) -> dict[str, str]:
    receipt = await runtime.emit("order.placed", data)
    return {"id": receipt.id}


@get("/subscriptions")
async def subscriptions(runtime: CurrentRuntime) -> list[str]:
    return list(runtime.subscriptions)


app = Litestar(
    [order, subscriptions, postroom.stream("/events", "order.**"), postroom.webhook("/hooks/orders", ORDERS)],
    plugins=[postroom],
)
