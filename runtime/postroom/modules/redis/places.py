"""Passwords, and where the server is: what may be shown of a URL, and what may not.

A URL is taken apart at the door and never kept whole, so that neither `repr` nor a log line, an error or a traceback
has a password in it.
"""

import os
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import attrs

from postroom.errors import InvalidOption

SCHEMES: Final = ("redis", "rediss", "redis+sentinel", "rediss+sentinel")
PORT: Final = 6379
SENTINEL_PORT: Final = 26379
HIDDEN: Final = "***"


class Secret:
    """A text that is shown to nobody, and can't be written out by accident.

    It is kept in a function, which nothing looks into and nothing writes: `attrs.asdict` and writers of JSON look into
    attrs classes.
    """

    __slots__ = ("reveal",)

    def __init__(self, text: str) -> None:
        self.reveal: Final[Callable[[], str]] = lambda: text
        """The text itself."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN


@attrs.frozen(kw_only=True)
class Place:
    """Where the server is, and as whom to come.

    Attributes:
        nodes: Hosts and ports: of the server, or of the sentinels that know where it is.
        service: What the sentinels call it; None without sentinels.
        password: None where there is none.
    """

    scheme: str
    nodes: tuple[tuple[str, int], ...]
    username: str | None = None
    password: Secret | None = None
    service: str | None = None
    db: int = 0

    @property
    def has_tls(self) -> bool:
        return self.scheme.startswith("rediss")

    def __str__(self) -> str:
        """The URL, without its password."""
        user = "" if self.username is None and self.password is None else f"{self.username or ''}:{HIDDEN}@"
        nodes = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.nodes)
        service = "" if self.service is None else f"/{self.service}"
        return f"{self.scheme}://{user}{nodes}{service}/{self.db}"


def place_of(url: Any) -> Place:
    """Take a URL apart.

    Raises:
        InvalidOption: it is none for Redis; what is shown of it has no password.
    """
    if isinstance(url, Place):
        return url
    if not isinstance(url, str):
        raise InvalidOption("url", type(url).__name__, "must be a string: `redis://host:port/db`")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        shown = scheme if separator else HIDDEN
        raise InvalidOption("url", f"{shown}://…", f"must begin with one of {', '.join(f'{s}://' for s in SCHEMES)}")
    user, _, rest = rest.rpartition("@")  # the last one: a password may have more
    location, _, path = rest.partition("/")
    sentinel = scheme.endswith("+sentinel")
    parts = [unquote(part) for part in path.split("/") if part]
    service = parts.pop(0) if sentinel and parts else None
    if sentinel and service is None:
        raise InvalidOption("url", f"{scheme}://…", "must name the sentinels' service: `…://host:26379/SERVICE/0`")
    if len(parts) > 1 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidOption("url", f"{scheme}://…", "must end with the number of a database, or nothing: `/0`")
    username, _, password = user.partition(":")
    return Place(
        scheme=scheme,
        nodes=tuple(_node(each, scheme, SENTINEL_PORT if sentinel else PORT) for each in location.split(",")),
        username=unquote(username) or None,
        password=Secret(unquote(password)) if password else None,
        service=service,
        db=int(parts[0]) if parts else 0,
    )


def _node(text: str, scheme: str, port: int) -> tuple[str, int]:
    host, digits = text, ""
    if text.startswith("["):
        host, _, after = text[1:].partition("]")
        digits = after.removeprefix(":")
    elif ":" in text:
        host, _, digits = text.partition(":")
    if digits and not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 65536):
        raise InvalidOption("url", f"{scheme}://…", "has a port that is none; a `/` in a password is written `%2F`")
    return host or "localhost", int(digits) if digits else port


def secret_of(value: Any) -> Secret | None:
    """A password as users give it: a string, or the path of a file whose first line it is.

    Raises:
        InvalidOption: neither, or the file can't be read.
    """
    if value is None or isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, os.PathLike):
        try:
            with open(value, encoding="utf-8") as file:
                return Secret(file.readline().rstrip("\r\n"))
        except (OSError, UnicodeError) as error:
            raise InvalidOption("password", value, f"must be readable: {type(error).__name__}") from None
    raise InvalidOption("password", HIDDEN, "must be a string, or the path of a file (`pathlib.Path`) that holds it")
