"""Planting a bug: a function gets the code of its own source with one piece of text replaced, in this process only.

The function object stays the same, so whoever holds it already has the bug as well.
"""

import importlib
import inspect
import textwrap
from types import CodeType, FunctionType
from typing import Any, Literal, TypeAlias

import attrs

World: TypeAlias = Literal["local", "store"]


@attrs.frozen(kw_only=True)
class Bug:
    """One mistake.

    Attributes:
        name: Names it, for the command line.
        mistake: What it re-introduces, as the one who made it would be told.
        where: The function: its module, a colon, its name there.
        old, new: The text that is replaced, which stands in the function's source exactly once, and by what.
        world: The simulator that is to find it: of runtimes by themselves, or of processes on a store.
    """

    name: str
    mistake: str
    where: str
    old: str
    new: str
    world: World = "local"


class Moved(LookupError):
    """The source of a bug's function is not what the bug was written for."""


def function_of(where: str) -> FunctionType:
    """The function that is meant by `module:Class.method` or `module:function`; of a property its getter.

    Raises:
        Moved: there is none.
    """
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name, None)
        if found is None:
            raise Moved(f"{where}: there is no {name}")
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(found)
    if not isinstance(found, FunctionType):
        raise Moved(f"{where} is no function")
    return found


def code_with(bug: Bug) -> CodeType:
    """The code of the bug's function with the bug in it; plants nothing.

    Raises:
        Moved: the function has moved, or does not have the text, or has it more than once.
    """
    function = function_of(bug.where)
    source = textwrap.dedent(inspect.getsource(function))
    count = source.count(bug.old)
    if count != 1:
        raise Moved(f"{bug.name}: {bug.old!r} stands {count} times in {bug.where}, and should once:\n{source}")
    wrong = "from __future__ import annotations\n" + source.replace(bug.old, bug.new)
    whole = compile(wrong, f"<{bug.name}>", "exec")
    code = next(each for each in whole.co_consts if isinstance(each, CodeType) and each.co_name == function.__name__)
    if code.co_freevars != function.__code__.co_freevars:
        raise Moved(f"{bug.name}: {bug.where} is a closure, whose code can't be replaced")
    return code


def plant(bug: Bug) -> None:
    """Put a bug into this process, for as long as it lasts.

    Raises:
        Moved: as `code_with`.
    """
    function_of(bug.where).__code__ = code_with(bug)
