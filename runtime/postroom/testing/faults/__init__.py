"""An event module that fails on purpose, around any other."""

from .module import FaultyModule as FaultyModule
from .plan import Fault as Fault
from .plan import Once as Once
from .plan import Plan as Plan
from .plan import Random as Random
from .plan import While as While

__all__ = ["Fault", "FaultyModule", "Once", "Plan", "Random", "While"]
