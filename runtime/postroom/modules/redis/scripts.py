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
_COMMON: Final = ("base", "telling", "line", "loans", "groups", "runs_lent", "sessions")
_ENDING: Final = (*_COMMON, "ending")
_ACCEPTING: Final = (*_ENDING, "accepting")
_LETTERS: Final = (*_ENDING, "letters")
_RUNS: Final = (*_COMMON, "runs")


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
FETCH: Final = _script("lend deliveries", "fetch", (*_ENDING, "rates"))
SETTLE: Final = _script("take outcomes", "settle", (*_ENDING, "rates"))
RECLAIM: Final = _script("take deliveries back", "reclaim")
NEWS: Final = _script("tell its news", "news")
STAGE: Final = _script("stage events", "stage", _ACCEPTING)
RELEASE: Final = _script("release a group", "release", _ACCEPTING)
CLEAR: Final = _script("clear a group", "clear")
GROUPS: Final = _script("list its groups", "list_groups")
LETTERS: Final = _script("list its dead letters", "list_letters", _LETTERS)
DISCARD: Final = _script("forget dead letters", "discard", _LETTERS)
REPLAY: Final = _script("replay a dead letter", "replay", _LETTERS)
LISTING: Final = _script("list its subscriptions", "listing", _ENDING)
PAUSE: Final = _script("pause a subscription", "pause")
REMOVE: Final = _script("remove a subscription", "remove", _ENDING)
RUN_BEGIN: Final = _script("begin a run", "run_begin", _RUNS)
RUN_TAKE: Final = _script("lend runs", "run_take", _RUNS)
RUN_RECORD: Final = _script("write to a run", "run_record", _RUNS)
RUN_CONCLUDE: Final = _script("conclude a run", "run_conclude", (*_ACCEPTING, "runs"))
RUN_BACK: Final = _script("take a run back", "run_back", _RUNS)
RUN_RECLAIM: Final = _script("take runs back", "run_reclaim", _RUNS)
RUN_SIGNAL: Final = _script("signal a run", "run_signal", _RUNS)
RUN_WAKE: Final = _script("wake a run", "run_wake", _RUNS)
RUN_REOPEN: Final = _script("reopen a run", "run_reopen", _RUNS)
RUN_SEE: Final = _script("look at a run", "run_see", _RUNS)
RUN_LIST: Final = _script("list its runs", "run_list", _RUNS)
RUN_FORGET: Final = _script("forget runs", "run_forget", _RUNS)
