"""What no code here may do: run what it reads, or import what a text names.

Looked for in the syntax tree, so that neither a comment nor a string counts, and neither an alias nor a blank hides it.
"""

import ast
from collections.abc import Iterator
from typing import Final

import attrs

UNSAFE_MODULES: Final = frozenset(
    {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "jsonpickle", "marshal", "shelve", "pickletools"}
)
"""Whose readers run what they read."""

RUNNERS: Final = frozenset({"eval", "exec", "compile", "__import__"})
"""Builtins that run a text, or import what one names."""

IMPORTERS: Final = frozenset(
    {
        "importlib.import_module", "importlib.__import__", "importlib.util.find_spec",
        "importlib.util.module_from_spec", "importlib.util.spec_from_file_location",
        "pkgutil.resolve_name", "runpy.run_module", "runpy.run_path",
    }
)  # fmt: skip
"""Functions that import, or run, what a text names. With a literal in its place everybody sees what that is."""

UNSAFE_CALLS: Final = frozenset(
    {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "code.interact", "types.FunctionType",
     "types.CodeType", "multiprocessing.Pool", "multiprocessing.Process", "multiprocessing.Queue"}
)  # fmt: skip
"""The processes of `multiprocessing` talk by pickles."""

HOOKS: Final = frozenset({"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"})
"""Methods that only a pickle calls."""


@attrs.frozen(order=True)
class Finding:
    """One place."""

    line: int
    what: str


def findings(source: str) -> list[Finding]:
    """All places in a module's source, by line."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    return sorted({each for node in ast.walk(tree) for each in _found_in(node, names)})


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each local name of something imported, wherever in the module, and what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (first, first)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _found_in(node: ast.AST, names: dict[str, str]) -> Iterator[Finding]:
    match node:
        case ast.Import(names=imported):
            for alias in imported:
                if alias.name.partition(".")[0] in UNSAFE_MODULES:
                    yield Finding(node.lineno, f"import {alias.name}")
        case ast.ImportFrom(module=str(module), level=0):
            if module.partition(".")[0] in UNSAFE_MODULES:
                yield Finding(node.lineno, f"from {module} import")
        case ast.FunctionDef(name=name) if name in HOOKS:
            yield Finding(node.lineno, f"def {name}")
        case ast.Name(id=name) if name in RUNNERS and name not in names:  # called or handed on
            yield Finding(node.lineno, name)
        case ast.Attribute(value=ast.Name(id="builtins"), attr=name) if name in RUNNERS:
            yield Finding(node.lineno, f"builtins.{name}")
        case ast.Call(func=function, args=arguments):
            called = _dotted(function, names)
            if called in UNSAFE_CALLS:
                yield Finding(node.lineno, called)
            if called in IMPORTERS and not (arguments and isinstance(arguments[0], ast.Constant)):
                yield Finding(node.lineno, f"{called} of a name that is no literal")
            if called in IMPORTERS and arguments and _names_unsafe(arguments[0]):
                yield Finding(node.lineno, f"{called} of an unsafe module")


def _names_unsafe(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Constant) and str(argument.value).partition(".")[0] in UNSAFE_MODULES


def _dotted(function: ast.expr, names: dict[str, str]) -> str:
    """The full name of what is called, as far as imports tell; else an empty one."""
    match function:
        case ast.Name(id=name):
            return names.get(name, "")
        case ast.Attribute(value=value, attr=attr):
            before = _dotted(value, names)
            return f"{before}.{attr}" if before else ""
        case _:
            return ""
