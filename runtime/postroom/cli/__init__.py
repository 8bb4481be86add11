"""The command line, `postroom` or `python -m postroom`. Needs the extra `cli`."""

from .entry import main as main

__all__ = ["main"]
