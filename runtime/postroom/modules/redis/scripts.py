"""The Lua scripts: put together from their pieces, and named by what they hash to.

All that a call does happens in one script, so as a whole or not at all. Scripts are sent by this module only.
"""

import hashlib
from importlib import resources
from typing import Final

import attrs


@attrs.frozen
class Script:
    """One call.

    Attributes:
        name: For messages: what it does.
        source: Lua.
        sha: Names it to the server.
    """

    name: str
    source: str = attrs.field(repr=False)
    sha: str = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


_FOLDER: Final = resources.files("postroom.modules.redis") / "lua"
_COMMON: Final = ("base", "telling", "line", "loans", "groups", "sessions")
_ENDING: Final = (*_COMMON, "ending")
_ACCEPTING: Final = (*_ENDING, "accepting")
_LETTERS: Final = (*_ENDING, "letters")


def _script(name: str, file: str, pieces: tuple[str, ...] = _COMMON) -> Script:
    return Script(name, "\n".join((_FOLDER / f"{each}.lua").read_text(encoding="utf-8") for each in (*pieces, file)))


BEGIN: Final = _script("begin a session", "begin")
GREET: Final = _script("greet", "greet")
RENEW: Final = _script("renew the lease", "renew")
END: Final = _script("end the session", "end")
BIND: Final = _script("register subscriptions", "bind")
LEAVE: Final = _script("take a subscription back", "leave")
ROUTES: Final = _script("read its subscriptions", "routes")
PUBLISH: Final = _script("take events", "publish", _ACCEPTING)
FETCH: Final = _script("lend deliveries", "fetch", _ENDING)
SETTLE: Final = _script("take outcomes", "settle", _ENDING)
RECLAIM: Final = _script("take deliveries back", "reclaim")
NEWS: Final = _script("tell its news", "news")
STAGE: Final = _script("stage events", "stage", _ACCEPTING)
RELEASE: Final = _script("release a group", "release", _ACCEPTING)
CLEAR: Final = _script("clear a group", "clear")
LETTERS: Final = _script("list its dead letters", "list_letters", _LETTERS)
DISCARD: Final = _script("forget dead letters", "discard", _LETTERS)
REPLAY: Final = _script("replay a dead letter", "replay", _LETTERS)
LISTING: Final = _script("list its subscriptions", "listing", _ENDING)
PAUSE: Final = _script("pause a subscription", "pause")
REMOVE: Final = _script("remove a subscription", "remove", _ENDING)
