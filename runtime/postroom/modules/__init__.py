"""Event modules: what carries the events of runtimes instead of the one process they are in."""
