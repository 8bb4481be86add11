"""The application: its commands, each a file in `commands`, and how one is run."""

import importlib
import pkgutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from cyclopts import App, CycloptsError

from ..errors import InvalidEventType, InvalidHandler, InvalidName, InvalidOption, PostroomError
from ..store_errors import StoreBroken
from . import commands
from .output import complain
from .statuses import DONE, NOT_DONE, UNWRITABLE, USAGE, Refused

TRIED_IN_VAIN: Final = (InvalidEventType, InvalidHandler, InvalidName, InvalidOption, StoreBroken)
"""Errors by which nothing could be tried."""


def make_app() -> App:
    """The application, with every command for which there is a file."""
    app = App("postroom", help="Run event services, and look after them.", version=_version, help_format="plaintext")
    for each in sorted(pkgutil.iter_modules(commands.__path__), key=lambda found: found.name):
        importlib.import_module(f"{commands.__name__}.{each.name}").register(app)
    return app


def _version() -> str:
    try:
        return version("postroom")
    except PackageNotFoundError:  # out of a checkout
        return "unknown"


def run_command(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    app = make_app()
    try:
        result = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        complain(f"{error} See `postroom --help`.")
        return USAGE
    except Refused as refused:
        complain(str(refused))
        return refused.status
    except PostroomError as error:
        return refusal_of(error)
    except ExceptionGroup as group:  # out of the blocks of a target
        leaves = leaves_of(group)
        for each in leaves:
            if isinstance(each, OSError) and each.errno in UNWRITABLE:
                raise each from None  # it ends the command, whatever else was going on
        if not all(isinstance(each, PostroomError | Refused) for each in leaves):
            raise
        return max([refusal_of(each) for each in leaves])
    return result if isinstance(result, int) else DONE


def leaves_of(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors in a group, and in the groups in it."""
    found: list[BaseException] = []
    for each in group.exceptions:
        found.extend(leaves_of(each) if isinstance(each, BaseExceptionGroup) else [each])
    return found


def refusal_of(error: BaseException) -> int:
    """Say what went wrong; returns the exit status."""
    complain(str(error))
    if isinstance(error, Refused):
        return error.status
    return USAGE if isinstance(error, TRIED_IN_VAIN) else NOT_DONE
