"""A shop on FastAPI: takes signed webhooks, keeps a ledger of the orders, and streams what happens.

Run: uvicorn examples.services.on_fastapi:app, or hypercorn -k trio examples.services.on_fastapi:app
Settings: see shop.py.
"""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.responses import Response

from examples.services.shop import ORDERS, make_runtime
from postroom import Runtime
from postroom.integrations.starlette import Postroom

app = FastAPI()
postroom = Postroom(make_runtime)
postroom.install(app)

app.add_route("/hooks/orders", postroom.webhook(ORDERS), methods=["POST"])

Running = Annotated[Runtime, Depends(postroom.current)]


@app.post("/orders", status_code=202)
async def order(data: dict[str, Any], runtime: Running) -> dict[str, str]:
    receipt = await runtime.emit("order.placed", data)
    return {"id": receipt.id}


@app.get("/events")
async def events(limit: int = 100) -> Response:
    return postroom.stream("order.**", limit=limit)


@app.get("/subscriptions")
async def subscriptions(runtime: Running) -> list[str]:
    return list(runtime.subscriptions)
