"""The doors: every place at which postroom takes something from its user. Here those that need no event loop."""

from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from random import Random
from typing import Any, Final

import attrs
import msgspec

from examples.storefront.__main__ import parse
from examples.storefront.orders import Order, Reader
from examples.storefront.orders import Rejected as RejectedRow
from postroom import (
    Actor,
    Batch,
    BatchFailure,
    Breaker,
    Event,
    Interceptor,
    Policy,
    Rate,
    Retry,
    Runtime,
    Siblings,
    Supervision,
    constant,
    event_type,
    exponential,
    on,
    subscriber,
)
from postroom.names import check_subscription_name, tokens_of_name, tokens_of_pattern
from postroom.portable import portable_copy
from postroom.routes import Routes
from postroom.testing import Recorder, failing, slow

from . import options
from .nasties import TEXTS, IterationFault, mangled, nasty, tree
from .options import Given, some


@attrs.frozen
class Door:
    """Something that takes input.

    Attributes:
        draw: Makes the arguments.
        call: Uses them.
        may_raise: Beside postroom's own errors; where that is told of in its documentation.
    """

    name: str
    draw: Callable[[Random], Given]
    call: Callable[[Given], Any]
    may_raise: tuple[type[BaseException], ...] = ()


def _one(random: Random) -> Given:
    return {"value": nasty(random)}


def _text(random: Random) -> Given:
    return {"value": random.choice(TEXTS) if random.random() < 0.2 else mangled(random, random.choice(TEXTS))}


def _match(given: Given) -> None:
    routes: Routes[int] = Routes()
    routes.add((tokens_of_pattern(given["pattern"]),), 1)
    routes.match(given["name"])


def _patterns(random: Random) -> Given:
    sound = options.PATTERN(random), options.NAME(random)
    broken = mangled(random, sound[0]), mangled(random, sound[1])
    return {"pattern": random.choice((sound[0], broken[0])), "name": random.choice((sound[1], broken[1]))}


def _declare(given: Given) -> None:
    subscriber(*given.pop("patterns"), **given)(options.handler)


def _declaration(random: Random) -> Given:
    patterns = [options.PATTERN(random)]
    if random.random() < 0.3:
        patterns.append(nasty(random))
    return {"patterns": patterns, **some(random, options.SUBSCRIBER)}


def _mark(given: Given) -> None:
    async def handle(self: object, event: Event) -> None: ...

    type("Fuzzed", (Actor,), {"handle": on(*given["patterns"])(handle)})


def _type(random: Random) -> Given:
    good = {"name": options.NAME, "version": options.one_of(1, 2), "upcast": options.one_of(None, {1: dict})}
    return {**some(random, good, always=("name",)), "annotation": random.choice((int, str, list[int], nasty(random)))}


def _declare_type(given: Given) -> None:
    annotation = given.pop("annotation")
    event_type(given.pop("name"), **given)(attrs.make_class("Fuzzed", {"a": attrs.field(type=annotation)}, frozen=True))


def _payload(random: Random) -> Given:
    if random.random() < 0.3:
        text = msgspec.json.encode({"a": [1, "b", None, 1.5], "c": {"d": True}})
        broken = bytearray(text)
        for _ in range(random.randrange(3)):
            broken[random.randrange(len(broken))] = random.randrange(256)
        try:
            return {"value": msgspec.json.decode(broken)}
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {"value": bytes(broken)}
    return {"value": random.choice((nasty, tree))(random)}


def _arguments(random: Random) -> Given:
    flags = ["--orders", "--fail", "--pack", "--crash", "--backend", "--tills", "--json", "-x", ""]
    argv: list[str] = []
    for _ in range(random.randrange(1, 4)):
        argv.append(random.choice(flags))
        value = random.choice(("0.5", "1", "trio", "nan", "inf", "-1", "9" * 5000, random.choice(TEXTS)))
        argv.append(mangled(random, value) if random.random() < 0.5 else value)
    return {"argv": argv}


def _parse(given: Given) -> None:
    with redirect_stderr(StringIO()):
        parse(given["argv"])


def _rows(random: Random) -> Given:
    row = random.choice(("2024-01-31,c1,2,10.50", "2024-02-30,c1,1,1", "date,customer,quantity,amount", ""))
    lines = [mangled(random, row) if random.random() < 0.7 else row for _ in range(random.randrange(1, 5))]
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    at = random.randrange(len(data) + 1)
    return {"chunks": [data[:at], random.randbytes(random.choice((0, 3, 3000))), data[at:]]}


def _read_rows(given: Given) -> None:
    reader = Reader()
    rows = [row for chunk in given["chunks"] for row in reader.feed(chunk)]
    for row in [*rows, *reader.end()]:
        assert isinstance(row, Order) or (isinstance(row, RejectedRow) and row.reason.isprintable())


def _failures(random: Random) -> Given:
    return {"value": random.choice((nasty(random), {"id": ValueError()}, {nasty_key(random): ValueError()}))}


def nasty_key(random: Random) -> Any:
    """A nasty value that a dict takes as a key."""
    value = nasty(random)
    try:
        hash(value)
    except Exception:
        return 0
    return value


def _times(random: Random) -> Given:
    return {"pattern": nasty(random), "times": nasty(random)}


def _emitted(given: Given) -> None:
    Recorder().assert_emitted(given["pattern"], times=given["times"])


def _table() -> list[Door]:
    made = [
        Door("name", _text, lambda given: tokens_of_name(given["value"])),
        Door("any name", _one, lambda given: tokens_of_name(given["value"])),
        Door("pattern", _text, lambda given: tokens_of_pattern(given["value"])),
        Door("any pattern", _one, lambda given: tokens_of_pattern(given["value"])),
        Door("name of a subscription", _one, lambda given: check_subscription_name(given["value"])),
        Door("routing", _patterns, _match),
        Door("subscriber", _declaration, _declare),
        Door("handler", _one, lambda given: subscriber("n", name="n")(given["value"])),
        Door("on", lambda random: {"patterns": [nasty(random), options.NAME(random)]}, _mark),
        Door("event type", _type, _declare_type, (IterationFault,)),
        Door("payload", _payload, lambda given: portable_copy(given["value"])),
        Door("interceptor", _one, lambda given: Interceptor(given["value"])),
        Door("failures of a batch", _failures, lambda given: BatchFailure(given["value"])),
        Door("storefront's arguments", _arguments, _parse, (SystemExit,)),
        Door("storefront's orders", _rows, _read_rows),
        Door("recorder", _times, _emitted, (AssertionError,)),
        Door("slow", lambda random: {"patterns": ["n"], "seconds": nasty(random)}, _slow),
        Door("failing", lambda random: {"patterns": ["n"], "times": nasty(random)}, _failing),
        Door("constant", lambda random: {"seconds": nasty(random)}, lambda given: constant(**given)),
    ]  # fmt: skip
    numbers = dict.fromkeys(("first", "factor", "limit"), options.SECONDS)
    for name, kind, good, always in [
        ("Runtime", Runtime, options.RUNTIME, ()),
        ("Policy", Policy, options.POLICY, ()),
        ("Retry", Retry, options.RETRY, ()),
        ("Breaker", Breaker, options.BREAKER, ()),
        ("Rate", Rate, options.RATE, ("attempts",)),
        ("Batch", Batch, options.BATCH, ("size",)),
        ("Supervision", Supervision, options.SUPERVISION, ()),
        ("Siblings", Siblings, options.SIBLINGS, ("members",)),
        ("exponential", exponential, numbers, ("first",)),
    ]:
        made.append(_constructor(name, kind, good, always))
    return made


def _constructor(name: str, kind: Any, good: options.Good, always: tuple[str, ...]) -> Door:
    return Door(name, lambda random: some(random, good, always=always), lambda given: kind(**given), (IterationFault,))


def _slow(given: Given) -> None:
    slow(*given["patterns"], seconds=given["seconds"])


def _failing(given: Given) -> None:
    failing(*given["patterns"], times=given["times"])


DOORS: Final = _table()
