"""A shop on Quart-Trio: takes signed webhooks, keeps a ledger of the orders, and streams what happens.

Run: hypercorn -k trio examples.services.on_quart:app
Settings: see shop.py.
"""

from quart import Response, jsonify, request
from quart_trio import QuartTrio

from examples.services.shop import ORDERS, make_runtime
from postroom.integrations.quart import Postroom

app = QuartTrio(__name__)
postroom = Postroom(make_runtime)
postroom.install(app)

app.post("/hooks/orders")(postroom.webhook(ORDERS))


@app.post("/orders")
async def order() -> tuple[Response, int]:
    receipt = await postroom.runtime.emit("order.placed", await request.get_json())
    return jsonify({"id": receipt.id}), 202


@app.get("/events")
async def events() -> Response:
    return await postroom.stream("order.**", limit=request.args.get("limit", 100, int))


@app.get("/subscriptions")
async def subscriptions() -> Response:
    return jsonify(list(postroom.runtime.subscriptions))
