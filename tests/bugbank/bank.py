"""All the bugs there are."""

from typing import Final

from .durable import DURABLE
from .local import LOCAL
from .planting import Bug

BANK: Final[dict[str, Bug]] = {bug.name: bug for bug in (*LOCAL, *DURABLE)}
