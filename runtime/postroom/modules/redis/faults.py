"""What Redis's errors mean to whoever asked for something."""

import re
from typing import Final

import attrs

from postroom.errors import PostroomError
from postroom.store_errors import StoreBroken, StoreBusy, StoreFull, UnknownResult

MODULE: Final = "redis"

# Inside a script the code of an error is somewhere in the text, where and how depends on the server's version.
_CODE: Final = re.compile(
    r"\b(OOM|MISCONF|READONLY|MASTERDOWN|LOADING|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOREPLICAS|BUSY|NOSCRIPT|NOAUTH|"
    r"WRONGPASS|NOPERM|WRONGTYPE|GONE|STALE|FORMAT|UNBLOCKED|max number of clients|executing the script can't|"
    r"ACL failure)\b"
)

_BY_CLASS: Final = {  # coredis takes these codes off
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "NoScriptError": "NOSCRIPT",
    "AuthenticationRequiredError": "NOAUTH",
    "AuthenticationFailureError": "WRONGPASS",
    "AuthorizationError": "NOPERM",
    "WrongTypeError": "WRONGTYPE",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "UnblockedError": "UNBLOCKED",
    "UnknownCommandError": "UNKNOWN",
}

ELSEWHERE: Final = {"READONLY", "MASTERDOWN", "LOADING", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "UNBLOCKED"}
"""Codes after which another server, or this one later, is to be asked over a new connection."""


@attrs.define
class SessionGone(PostroomError):
    """The server does not know the session: it was flushed, or is another one. The module's own."""


@attrs.define
class StaleCall(PostroomError):
    """What the call was made with has changed meanwhile: the routes, or the life of the session. The module's own."""


def code_of(error: BaseException) -> str:
    """The code of an error that the server has answered with; empty where it has none that is known here."""
    by_class = _BY_CLASS.get(type(error).__name__)
    if by_class is not None:
        return by_class
    found = _CODE.search(str(error))
    return found.group(1) if found else ""


def translated(error: BaseException, place: str) -> PostroomError:
    """What an answer that is an error means; nothing was done."""
    code = code_of(error)
    match code:
        case "GONE":
            return SessionGone()
        case "STALE":
            return StaleCall()
        case "OOM":
            return StoreFull(MODULE, "all the memory that it may use is used (maxmemory)")
        case "MISCONF":
            return StoreFull(MODULE, "it can't write to its disk, and refuses to go on without (MISCONF)")
        case "READONLY" | "MASTERDOWN" | "MOVED" | "ASK":
            return StoreBusy(MODULE, f"{place} is not the server that takes writes, or not any more ({code})")
        case "LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "NOREPLICAS" | "BUSY" | "UNBLOCKED" | "NOSCRIPT":
            return StoreBusy(MODULE, f"{place} is not ready ({code})")
        case "max number of clients":
            return StoreBusy(MODULE, f"{place} has as many clients as it takes (maxclients)")
        case "NOAUTH" | "WRONGPASS":
            return StoreBroken(
                MODULE, f"{place} does not let us in ({code})", "Look at the user name and the password of the URL."
            )
        case "NOPERM" | "executing the script can't" | "ACL failure":
            return StoreBroken(
                MODULE,
                f"the user of {place} may not do what postroom does ({shown(error)})",
                "Give it the rules of `postroom.modules.redis.permissions.rules_of(namespace)`.",
            )
        case "WRONGTYPE":
            return StoreBroken(
                MODULE,
                f"another program uses keys of this namespace at {place}",
                "Choose another `namespace`, or remove what is there.",
            )
        case "FORMAT":
            return StoreBroken(
                MODULE,
                f"the namespace at {place} was written by another release ({shown(error)})",
                "Use that release of postroom, or another `namespace`.",
            )
        case "UNKNOWN":
            return StoreBroken(
                MODULE,
                f"{place} does not know a command that postroom uses ({shown(error)})",
                "Use Redis 6.2 or newer, or Valkey, with its commands not renamed.",
            )
        case _:
            return StoreBroken(
                MODULE, f"{place} has refused a call ({shown(error)})", "Look at the server's log; report this."
            )


def unreachable(error: BaseException, place: str) -> StoreBusy:
    """There is no connection; nothing was sent."""
    return StoreBusy(MODULE, f"{place} can't be reached ({type(error.__cause__ or error).__name__})")


def unknown(what: str) -> UnknownResult:
    """Something was sent, and the connection was lost before the reply came."""
    return UnknownResult(MODULE, what)


def shown(error: BaseException) -> str:
    """What the server said, on one line and not too long."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:200] + "…"
