"""What the services share: who handles the orders, and what carries them.

Settings, from the environment:
    SHOP_SECRET: What webhooks are signed with.
    SHOP_LEDGER: The SQLite file of the ledger; `ledger.db` unless given.
    SHOP_MODULE: `local`, `sqlite:FILE` or a `redis://` URL; `local` unless given.
"""

import os
import sqlite3
from contextlib import closing

from postroom import Event, EventModule, Local, Retry, Runtime, SqliteModule, exponential, subscriber
from postroom.integrations.webhooks import Webhook

ORDERS = Webhook(name="order.placed", secret=os.environ.get("SHOP_SECRET", "only for trying it out"))


def module() -> Local | EventModule:
    asked = os.environ.get("SHOP_MODULE", "local")
    if asked.startswith("sqlite:"):
        return SqliteModule(asked.removeprefix("sqlite:"), lease=2.0)
    if asked.startswith(("redis://", "rediss://")):
        from postroom.modules.redis import RedisModule  # its client is an extra

        return RedisModule(asked, lease=2.0)
    return Local()


@subscriber("order.placed", concurrency=4, retry=Retry(attempts=5, backoff=exponential(0.05, limit=1)))
def ledger(event: Event) -> None:
    """Write down an order: once, however often it is delivered, since its id is the row's."""
    with closing(sqlite3.connect(os.environ.get("SHOP_LEDGER", "ledger.db"), timeout=10)) as db, db:
        db.execute("PRAGMA synchronous=OFF")  # it is an example's, and outlives a killed process all the same
        db.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, number INTEGER, size INTEGER, trace TEXT)")
        order = (event.id, event.data["number"], len(event.data.get("note", "")), event.headers.get("traceparent"))
        db.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?)", order)


def make_runtime() -> Runtime:
    return Runtime(module=module(), subscribers=[ledger])
