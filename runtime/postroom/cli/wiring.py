"""What is wired to what: the subscriptions of a service, the events that are known, and who emits them.

Who subscribes is known for sure. Who emits what is read from the source of the service's modules: calls of `emit` and
its kin with a literal name, or with an instance of an event type. What is computed at run time is not seen.
"""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs

from ..actor import class_of
from ..errors import InvalidName
from ..event_types import declaration_of
from ..names import tokens_of_name, tokens_of_pattern
from ..routes import Routes
from ..runtime import Runtime
from ..siblings import members_of
from ..subscriber import Subscriber

EMITS: Final = ("emit", "emit_and_wait", "emit_nowait", "emit_from_thread", "emit_many", "request")

EVENT: Final = "Event"


@attrs.frozen(kw_only=True)
class Wired:
    """A subscription.

    Attributes:
        handler: Where its code is.
        hears: The known events that reach it.
        emits: The events that its code emits.
    """

    name: str
    patterns: tuple[str, ...]
    handler: str
    hears: tuple[str, ...]
    emits: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Known:
    """An event that the service declares or emits.

    Attributes:
        declared: There is an event type of this name.
        emitted_by: Subscriptions, and functions outside of them.
    """

    name: str
    declared: bool
    heard_by: tuple[str, ...]
    emitted_by: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Wiring:
    """All of it.

    Attributes:
        unheard: The events that nobody hears.
        unfed: Subscriptions that no known event reaches: what they hear comes from elsewhere, or never.
    """

    app: str
    module: str
    role: str
    subscriptions: tuple[Wired, ...]
    events: tuple[Known, ...]

    @property
    def unheard(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.events if not each.heard_by)

    @property
    def unfed(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.subscriptions if not each.hears)


@attrs.frozen
class _Emit:
    """A place in the code where an event is emitted."""

    event: str
    function: str
    line: int


def wiring_of(runtime: Runtime, app: str, module: Any) -> Wiring:
    """The wiring of a service, whose runtime was made by a module."""
    subscribers = list(members_of(runtime.subscribers))
    spans = {each.name: _span_of(each) for each in subscribers}
    modules = [module, *(sys.modules.get(span[0]) for span in spans.values() if span is not None)]
    emitted: dict[str, list[str]] = {}
    by_handler: dict[str, list[str]] = {each.name: [] for each in subscribers}
    declared: set[str] = set()
    for each in dict.fromkeys(each for each in modules if each is not None):
        declared.update(_declared_in(each))
        for found in _emits_in(each):
            owners = [
                name
                for name, span in spans.items()
                if span is not None and span[0] == each.__name__ and span[1] <= found.line < span[2]
            ]
            for owner in owners:
                by_handler[owner].append(found.event)
            emitted.setdefault(found.event, []).extend(owners or [f"{each.__name__}.{found.function}"])
    routes: Routes[str] = Routes()
    for each in subscribers:
        routes.add(tuple(tokens_of_pattern(pattern) for pattern in each.patterns), each.name)
    events = tuple(
        Known(
            name=name,
            declared=name in declared,
            heard_by=routes.match(name),
            emitted_by=tuple(dict.fromkeys(emitted.get(name, ()))),
        )
        for name in sorted(declared | emitted.keys() | _plain_names(subscribers))
    )
    return Wiring(
        app=app,
        module=runtime.module.name,
        role=runtime.role,
        subscriptions=tuple(
            Wired(
                name=each.name,
                patterns=each.patterns,
                handler=_name_of(each),
                hears=tuple(known.name for known in events if each.name in known.heard_by),
                emits=tuple(sorted(set(by_handler[each.name]))),
            )
            for each in subscribers
        ),
        events=events,
    )


def _plain_names(subscribers: Iterable[Subscriber[..., Any]]) -> set[str]:
    """The patterns that stand for one event."""
    return {pattern for each in subscribers for pattern in each.patterns if "*" not in pattern}


def _code_of(subscriber: Subscriber[..., Any]) -> Any:
    """The class or function that a handler is."""
    handler: Any = subscriber.handler
    kind = class_of(handler)
    if kind is not None:
        return kind
    handler = inspect.unwrap(handler)
    while hasattr(handler, "func"):  # a functools.partial
        handler = handler.func
    return handler if inspect.isroutine(handler) else type(handler)


def _name_of(subscriber: Subscriber[..., Any]) -> str:
    code = _code_of(subscriber)
    return f"{code.__module__}.{code.__qualname__}"


def _span_of(subscriber: Subscriber[..., Any]) -> tuple[str, int, int] | None:
    """The module of a handler's code, and its first and its last line, the latter plus one; None without source."""
    code = _code_of(subscriber)
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError):
        return None
    return code.__module__, first, first + len(lines)


def _declared_in(module: Any) -> Iterator[str]:
    for value in list(vars(module).values()):
        declaration = declaration_of(value)
        if declaration is not None:
            yield declaration.name


def _emits_in(module: Any) -> Iterator[_Emit]:
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return
    yield from _walk(tree, vars(module), "(module)")


def _walk(node: ast.AST, names: dict[str, Any], function: str) -> Iterator[_Emit]:
    for child in ast.iter_child_nodes(node):
        inside = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = child.name if function == "(module)" else f"{function}.{child.name}"
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in EMITS:
            for event in _events_of(child, names):
                yield _Emit(event, function, child.lineno)
        yield from _walk(child, names, inside)


def _events_of(call: ast.Call, names: dict[str, Any]) -> Iterator[str]:
    """The events that a call emits, as far as they are literal."""
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr == "emit_many":
        inner = (node for argument in call.args for node in ast.walk(argument) if isinstance(node, ast.Call))
        found = (_event_of(node, names) for node in inner)
    else:
        found = (_event_of(argument, names) for argument in call.args[:1])
    for name in found:
        if name is not None and _is_name(name):
            yield name


def _event_of(node: ast.expr, names: dict[str, Any]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name):
        declaration = declaration_of(names.get(node.func.id))
        if declaration is not None:
            return declaration.name
        if node.func.id == EVENT:
            given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "name")]
            return _event_of(given[0], names) if given else None
    return None


def _is_name(text: str) -> bool:
    try:
        tokens_of_name(text)
    except InvalidName:
        return False
    return True
