"""Goal W: webhooks under load, each of them accepted is handled, once, whatever happens to the service.

Run: python -m tests.webhooks [--module local|sqlite|redis] [--stop none|term|kill] [--deliveries N] [--seed N]
Another process, this one, posts signed webhooks to an example service: bodies from 200 B to 1 MiB, a fifth of them
twice, some forged, cut off or too large. In the middle the service is ended as `--stop` says, and started again. The
figure is the number of deliveries that were answered with 2xx and are missing in the ledger, or that are in it without.
"""

import argparse
import random
import secrets
import signal
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from tests.servers.redis import RedisServer
from tests.servers.web import SERVERS, WebServer
from tests.soak.goal import Goal
from tests.webhooks.senders import PATIENCE, Senders

SIGNALS: Final = {"term": signal.SIGTERM, "kill": signal.SIGKILL}


def run(framework: str, server: str, module: str, stop: str, deliveries: int, seed: int) -> Goal:
    """One run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = module
        if module == "sqlite":
            place = f"sqlite:{folder / 'events.db'}"
        elif module == "redis":
            durable = {"appendonly": "yes", "appendfsync": "always"}
            place = stack.enter_context(RedisServer(durable)).url
        app = f"examples.services.on_{framework}:app"
        web = stack.enter_context(WebServer(app, server, folder, place))
        # Local forgets ids with its process, and says so: what is repeated after that is accepted anew.
        senders = Senders(web, seed, deliveries, (200, 202) if module == "local" and stop != "none" else (200,))
        began = time.monotonic()
        senders.start()
        restarts = end_in_the_middle(web, senders, stop, random.Random(seed))
        senders.wait()
        lasted = time.monotonic() - began
        broken = list(senders.wrong[:5])
        found = ledger_of(web, set(senders.accepted))
        lost = senders.accepted.keys() - found
        forged = found & senders.refused
        unknown = found - senders.accepted.keys() - senders.refused
        if forged or unknown:
            broken.append(f"{len(forged)} refused and {len(unknown)} unknown ones were handled")
        return Goal(
            name=f"W {framework} {server} {module} {stop}",
            figure=len(lost) + len(forged) + len(unknown),
            most=0,
            broken=tuple(broken),
            details={
                "seed": seed,
                "accepted": len(senders.accepted),
                "refused": len(senders.refused),
                "restarts": restarts,
                "rate": f"{senders.sent / lasted:.0f}/s",
                "answers": senders.told,
            },
        )


def end_in_the_middle(web: WebServer, senders: Senders, stop: str, chance: random.Random) -> int:
    """End the server once some of it is sent, and start it again; returns how often."""
    if stop == "none":
        return 0
    times = sorted(chance.uniform(0.2, 0.8) for _ in range(2))
    for share in times:
        until = time.monotonic() + PATIENCE
        while senders.sent < share * senders.deliveries and time.monotonic() < until:
            time.sleep(0.005)
        web.end(SIGNALS[stop])
        web.start()
    return len(times)


def ledger_of(web: WebServer, wanted: set[str]) -> set[str]:
    """The ids in the ledger, as soon as all that are wanted are there, or after a while."""
    until = time.monotonic() + PATIENCE
    while True:
        with closing(sqlite3.connect(web.ledger, timeout=30)) as db:
            found = {str(row[0]) for row in db.execute("SELECT id FROM orders")}
        if wanted <= found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tests.webhooks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--framework", default="starlette", choices=["starlette", "quart", "litestar"])
    parser.add_argument(
        "--server", choices=list(SERVERS), help="(default: both; quart: hypercorn, since its service is on trio)"
    )
    parser.add_argument("--module", choices=["local", "sqlite", "redis"], help="(default: all)")
    parser.add_argument("--stop", choices=["none", "term", "kill"], help="(default: all that the module promises)")
    parser.add_argument("--deliveries", type=int, default=600)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    passed = True
    if asked.framework == "quart" and asked.server == "uvicorn":
        parser.error("the service on Quart is on trio, which uvicorn does not run: leave --server out")
    servers = ["hypercorn"] if asked.framework == "quart" else list(SERVERS)
    for server in [asked.server] if asked.server else servers:
        for module in [asked.module] if asked.module else ("local", "sqlite", "redis"):
            promised = ("none", "term") if module == "local" else ("none", "term", "kill")
            for stop in [asked.stop] if asked.stop else promised:
                goal = run(asked.framework, server, module, stop, asked.deliveries, seed)
                print(goal.line, flush=True)
                passed = passed and goal.passed
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
