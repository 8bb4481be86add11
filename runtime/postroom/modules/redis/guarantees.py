"""What survives the end of the server, by its settings, as they were when it was opened."""

from collections.abc import Mapping
from typing import Final, Literal

import attrs

from postroom.store_errors import StoreBroken, StoreBusy

from .faults import MODULE

OLDEST: Final = (6, 2)


@attrs.frozen
class Guarantee:
    """What an event that was accepted survives, beside the end of any process that emits or handles.

    Attributes:
        persistence: `always`, nothing is lost by a crash of the server; `everysec`, up to about a second and a half
            of what was accepted; `os`, what the system had not written yet; `snapshots`, all since the last snapshot;
            `none`, everything; `unknown`, the user may not ask.
        text: The same, for people.
    """

    persistence: Literal["always", "everysec", "os", "snapshots", "none", "unknown"]
    text: str


_TEXTS: Final[Mapping[str, str]] = {
    "always": "what was accepted survives a crash of the server (appendfsync always); a failover to a replica may lose "
    "what it had not received",
    "everysec": "a crash of the server may lose what was accepted in its last second or two (appendfsync everysec)",
    "os": "a crash of the server's machine may lose what was accepted in the last half minute (appendfsync no)",
    "snapshots": "a crash of the server loses what was accepted since its last snapshot (there is no append-only file)",
    "none": "the end of the server loses everything (it persists nothing)",
    "unknown": "what survives a crash of the server depends on its settings, which this user may not read",
}


def guarantee_of(info: Mapping[str, str], config: Mapping[str, str] | None) -> Guarantee:
    """What holds, from the sections of INFO and from CONFIG GET; None where that is not allowed."""
    if info.get("aof_enabled") == "1":
        fsync = "unknown" if config is None else config.get("appendfsync", "unknown")
        kind = {"always": "always", "everysec": "everysec", "no": "os"}.get(fsync, "unknown")
    elif config is None:
        kind = "unknown"
    else:
        kind = "snapshots" if config.get("save") else "none"
    return Guarantee(kind, _TEXTS[kind])  # type: ignore[arg-type]  # one of its literals


def parse_info(text: str) -> dict[str, str]:
    """INFO as a mapping."""
    lines = (line.partition(":") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def check_server(info: Mapping[str, str], place: str) -> None:
    """Refuse a server that would lose events by itself, or is too old.

    Raises:
        StoreBroken: why, and what to do.
        StoreBusy: it is a replica, which it may not be for long.
    """
    version = info.get("redis_version", "0")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        raise StoreBroken(
            MODULE, f"{place} is Redis {version}", "postroom needs Redis 6.2 or newer, or Valkey: update the server."
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and info.get("maxmemory", "0") != "0":
        raise StoreBroken(
            MODULE,
            f"{place} throws data away when its memory is full (maxmemory-policy {policy}), events among it",
            "Set `maxmemory-policy noeviction`: emits are refused then while there is no room.",
        )
    if info.get("role") == "slave":
        raise StoreBusy(MODULE, f"{place} is a replica: name the primary in the URL, or its sentinels")
