"""The settings of a runtime: their defaults, and the checks that are not a number's.

Units: seconds.
"""

from typing import Any, Final, Literal, TypeAlias

import attrs

from .capabilities import Capability, check_capability
from .errors import InvalidOption
from .local import Local
from .policy import Policy
from .subscriber import Subscriber

DEFAULT_DRAIN: Final = 10.0
DEFAULT_CLEANUP: Final = 5.0
DEFAULT_DEAD_LETTERS: Final = 1000
DEFAULT_CAUSATION_DEPTH: Final = 64
DEFAULT_WATCHDOG: Final = 1.0
DEFAULT_LOSSES: Final = 3

ROLES: Final = ("both", "emit", "handle")

Role: TypeAlias = Literal["both", "emit", "handle"]


def check_flag(_runtime: object, attribute: "attrs.Attribute[bool]", value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidOption(attribute.name, value, "must be True or False")


def check_module(_runtime: object, _attribute: object, module: Any) -> None:
    if isinstance(module, Local):
        return
    if not (hasattr(module, "capabilities") and callable(getattr(module, "open", None))):
        raise InvalidOption("module", module, "must be an event module, such as Local() or SqliteModule(path)")
    if Capability.NOWAIT in module.capabilities:
        raise InvalidOption(
            "module",
            module,
            f"declares the capability {Capability.NOWAIT.value!r}, which Local alone can keep: a store has to be asked "
            "before an event is accepted, and that takes a wait. Leave it out of `capabilities`",
        )


def check_role(runtime: Any, _attribute: object, role: object) -> None:
    if role not in ROLES:
        raise InvalidOption("role", role, f"must be one of {', '.join(ROLES)}")
    if role != "both":
        check_capability(runtime._module.name, runtime._module.capabilities, Capability.SHARED, f"role={role!r}")


def check_suits(module: Any, subscriber: Subscriber[..., Any]) -> None:
    """Raises Unsupported for a backlog that the event module does not bound, a policy that needs it to, or a rate that
    it does not keep over all processes."""
    option = "backlog" if subscriber.backlog is not None else "overflow"
    if option == "backlog" or (subscriber.overflow != "wait" and not isinstance(module, Local)):
        wanted_by = f"`{option}` of {subscriber.name!r}"
        check_capability(module.name, module.capabilities, Capability.BACKLOG, wanted_by)
    if subscriber.rate is not None:
        check_capability(module.name, module.capabilities, Capability.RATES, f"`rate` of {subscriber.name!r}")


def check_defaults(_runtime: object, _attribute: object, defaults: object) -> None:
    if not isinstance(defaults, Policy):
        raise InvalidOption("defaults", defaults, "must be a Policy(attempts=…, backoff=…, timeout=…, quiet=…)")
