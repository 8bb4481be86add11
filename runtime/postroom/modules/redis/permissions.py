"""The least that the user of a namespace needs: its keys, and the commands that are used."""

from typing import Final

COMMANDS: Final = (
    *("hello", "auth", "select", "info", "config|get", "evalsha", "script|load", "xread"),
    *("del", "exists", "persist", "pexpire", "time"),
    *("hget", "hset", "hsetnx", "hdel", "hmget", "hgetall", "hkeys", "hlen", "hexists", "hincrby"),
    *("zadd", "zrem", "zcard", "zcount", "zrange", "zrevrange", "zrangebyscore", "zrangebylex", "zremrangebyrank"),
    *("sadd", "srem", "smembers", "sismember", "scard"),
    *("rpush", "lrange", "llen"),
    *("xadd", "xdel", "xtrim", "xrange"),
)
"""Those of the connections, then those of the scripts. `config|get` only serves to say what survives a crash; without
it that is `unknown`."""


def rules_of(namespace: str = "default") -> str:
    """The rules of an ACL user for one namespace, as `ACL SETUSER name on >password …` takes them."""
    return f"~{{postroom:{namespace}}}:* " + " ".join(f"+{each}" for each in COMMANDS)
