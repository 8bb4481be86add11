"""`module:attribute`: the runtime of a service, out of its code."""

import importlib
import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import attrs

from ..quoting import quoted, told
from ..runtime import Runtime
from .statuses import Refused

Make: TypeAlias = Callable[[], Runtime | Awaitable[Runtime]]


@attrs.frozen
class Loaded:
    """A service whose code was imported.

    Attributes:
        name: As the command line has it.
        module: The module of the service.
        thing: What the attribute is: a `Runtime`, or a function that makes one.
    """

    name: str
    module: Any
    thing: Runtime | Make

    async def make(self) -> Runtime:
        """The runtime; a function is called, here and now.

        Raises:
            Refused: it makes something else.
        """
        made = self.thing if isinstance(self.thing, Runtime) else self.thing()
        if inspect.isawaitable(made):
            made = await made
        if not isinstance(made, Runtime):
            raise Refused(f"{self.name} made {quoted(made)}, and not a Runtime")
        return made


def load(name: str) -> Loaded:
    """Import a service.

    Raises:
        Refused: there is none of this name, or importing it fails; says where.
    """
    module, thing = load_attribute(name)
    if not isinstance(thing, Runtime) and (not callable(thing) or isinstance(thing, type)):
        raise Refused(f"{quoted(name)} is neither a Runtime nor a function that makes one, but {quoted(thing)}")
    return Loaded(name, module, cast("Runtime | Make", thing))


def load_attribute(name: str, what: str = "runtime") -> tuple[Any, Any]:
    """Import a module, and what `module:attribute` names in it.

    Raises:
        Refused: there is none of this name, or importing it fails; says where.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise Refused(f"{quoted(name)} names no {what}: write `module:attribute`, such as `shop.service:{what}`")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise Refused(
                f"{quoted(module_name)} can't be imported: it needs {quoted(error.name)}, which is not there"
            ) from error
        raise Refused(f"there is no module {quoted(error.name)}, seen from {quoted(folder)}") from error
    except Exception as error:
        raise Refused(f"{quoted(module_name)} can't be imported: {told(error)}{_place_of(error)}") from error
    thing: Any = module
    for part in attribute.split("."):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            raise Refused(f"module {quoted(module_name)} has no {quoted(attribute)}") from None
    return module, thing


def _place_of(error: Exception) -> str:
    """Where it was raised, as far as that is in code of the user's."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and "importlib" not in file and file != __file__:
            place = f" (at {file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place
