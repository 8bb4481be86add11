"""How a runtime works with an event module that keeps events in a store: publishing, fetching, settling, telling."""

from .carrier import Carrier as Carrier
from .groups import StoredGroups as StoredGroups
from .letters import StoredLetters as StoredLetters
from .opening import open_carrier as open_carrier
from .outbox import Outbox as Outbox
from .receipts import StoredReceipt as StoredReceipt

__all__ = ["Carrier", "Outbox", "StoredGroups", "StoredLetters", "StoredReceipt", "open_carrier"]
