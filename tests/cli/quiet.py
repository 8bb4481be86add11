"""A service of which all is well."""

from postroom import Event, Runtime, subscriber


@subscriber("order.placed")
async def ledger(event: Event) -> None:
    pass


runtime = Runtime(subscribers=[ledger])
