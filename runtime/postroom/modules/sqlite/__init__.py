"""The event module on SQLite: events that survive their process, shared by the processes of one machine."""

from .module import SqliteModule as SqliteModule

__all__ = ["SqliteModule"]
