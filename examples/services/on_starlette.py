"""A shop on Starlette: takes signed webhooks, keeps a ledger of the orders, and streams what happens.

Run: uvicorn examples.services.on_starlette:app, or hypercorn -k trio examples.services.on_starlette:app
Settings: see shop.py.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.services.shop import ORDERS, make_runtime
from postroom.integrations.starlette import Postroom

postroom = Postroom(make_runtime)


async def order(request: Request) -> Response:
    receipt = await postroom.runtime.emit("order.placed", await request.json())
    return JSONResponse({"id": receipt.id}, 202)


async def events(request: Request) -> Response:
    return postroom.stream("order.**", limit=int(request.query_params.get("limit", 100)))


async def subscriptions(request: Request) -> Response:
    return JSONResponse(list(postroom.runtime.subscriptions))


app = Starlette(
    routes=[
        Route("/orders", order, methods=["POST"]),
        Route("/events", events),
        Route("/subscriptions", subscriptions),
        Route("/hooks/orders", postroom.webhook(ORDERS), methods=["POST"]),
    ]
)
postroom.install(app)
