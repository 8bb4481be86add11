"""What should not be in a namespace: looked up key by key, as no script does."""

from collections import Counter
from typing import Any

from tests.servers.redis import Wire


def leftovers(wire: Wire, prefix: str) -> list[str]:
    """What is wrong with a namespace, in words; nothing where all is as it should be."""
    found: list[str] = []
    keys = {each.decode().removeprefix(prefix) for each in wire.ask("KEYS", prefix.replace("[", "\\[") + "*")}

    def pairs(key: str) -> dict[str, bytes]:
        flat = wire.ask("HGETALL", prefix + key)
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}

    def members(key: str) -> list[str]:
        return [each.decode() for each in wire.ask("ZRANGE", prefix + key, 0, -1)]

    deliveries: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    lent: Counter[str] = Counter()
    by_sid: dict[str, list[str]] = {}
    for key in keys:
        kind, _, of = key.partition(":")
        if kind in ("q", "dl"):
            by_sid.setdefault(of, []).extend(members(key))
        elif kind == "kz":
            by_sid.setdefault(of.partition(":")[0], []).extend(members(key))
        elif kind == "l":
            for loan in pairs(key).values():
                number, sid = _loan(loan)
                deliveries[number] += 1
                lent[sid] += 1
    for sid, own in by_sid.items():
        for member in set(own):
            deliveries[member[16:31]] += 1
            waiting[sid] += 1
        in_line = members(f"q:{sid}")
        heads = {key: head.decode() for key, head in pairs(f"kh:{sid}").items() if head}
        keyed = {each.partition("|")[2]: each for each in in_line if each[31] == "k"}
        if heads != keyed:
            found.append(f"heads of {sid}: {heads}, in line: {keyed}")
    events = pairs("b")
    if set(events) != set(deliveries):
        found.append(f"events {sorted(events)}, deliveries of {sorted(deliveries)}")
    shares = {number: int(count) for number, count in pairs("p").items()}
    for number, count in shares.items():
        if deliveries[number] != count:
            found.append(f"{number} has {deliveries[number]} deliveries, and counts {count}")
    for name, counted in (("w", waiting), ("lc", lent)):
        told = {sid: int(count) for sid, count in pairs(name).items() if int(count)}
        if told != dict(counted):
            found.append(f"{name}: {told}, really {dict(counted)}")
    sids = set(pairs("nm"))
    for key in keys:
        kind, _, of = key.partition(":")
        if kind in ("q", "dl", "kh", "ko", "a", "v") and of not in sids:
            found.append(f"{key} of a subscription that is gone")
        if kind == "a" and sorted(members(key)) != sorted(set(by_sid.get(of, []))):
            found.append(f"{key}: {members(key)}, waiting {by_sid.get(of)}")
    return found + _other(wire, prefix, keys, pairs, lent)


def _other(wire: Wire, prefix: str, keys: set[str], pairs: Any, lent: Counter[str]) -> list[str]:
    found: list[str] = []
    held = sum(int(each.split(b":")[1]) for key in keys if key.startswith("ko:") for each in pairs(key).values())
    if held > sum(lent.values()):
        found.append(f"keys say that {held} are lent, and {dict(lent)} are")
    groups = [key for key in keys if key.startswith("g:")]
    staged = sum(wire.ask("LLEN", prefix + key) for key in groups)
    ids = sum(wire.ask("SCARD", prefix + key.replace("g:", "gi:", 1)) for key in groups)
    if staged != ids or bool(staged) != ("si" in keys):
        found.append(f"{staged} staged, {ids} ids, index: {'si' in keys}")
    listed = {each.decode() for each in wire.ask("ZRANGE", prefix + "gx", 0, -1)}
    if listed != {key.removeprefix("g:") for key in groups}:
        found.append(f"groups {groups}, listed {listed}")
    living = {each.decode() for each in wire.ask("ZRANGE", prefix + "lease", 0, -1)}
    refused = {each.decode() for each in wire.ask("SMEMBERS", prefix + "ref")}
    if (set(pairs("mk")) | refused) - living:
        found.append(f"marks {set(pairs('mk'))}, refused {refused}, living {living}")
    letters = {*pairs("dead")}
    if letters != {each.decode() for each in wire.ask("ZRANGE", prefix + "dz", 0, -1)}:
        found.append("dead letters and their order differ")
    return found


def _loan(text: bytes) -> tuple[str, str]:
    """Number and subscription of a loan: see loans.lua."""
    sid = int.from_bytes(text[:4], "big")
    watcher, id_length = int.from_bytes(text[5:7], "big"), int.from_bytes(text[7:9], "big")
    member = text[25 + watcher + id_length :].decode()
    return member[16:31], str(sid)
