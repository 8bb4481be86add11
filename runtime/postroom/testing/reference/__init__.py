"""The reference store, and the event module on it."""

from .module import ReferenceModule as ReferenceModule
from .module import ReferenceSession as ReferenceSession
from .store import ReferenceStore as ReferenceStore

__all__ = ["ReferenceModule", "ReferenceSession", "ReferenceStore"]
