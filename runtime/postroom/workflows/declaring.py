"""Declaring steps and workflows: functions, with what is to be done when they fail.

Units: seconds.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar, get_origin, get_type_hints, overload

import attrs

from ..calls import is_async
from ..checks import seconds
from ..errors import InvalidOption
from ..names import tokens_of_name
from ..quoting import quoted
from ..retry import Retry
from .errors import InvalidWorkflow

R = TypeVar("R")

ONE_ATTEMPT: Final = Retry(attempts=1)
UNDO: Final = Retry(attempts=3)
"""How often a compensation is tried, unless its step says otherwise: it must bear being repeated anyway."""


@attrs.frozen
class StepAnswer(Generic[R]):
    """What a step may return: a value for the workflow, and apart from that what its compensation gets.

    Attributes:
        output: What `flow.run` returns.
        compensate_with: The first argument of the step's compensation.
    """

    output: R
    compensate_with: Any


@attrs.frozen
class Skip(Generic[R]):
    """What a step may return to say that it did nothing: there is nothing to undo.

    Attributes:
        output: What `flow.run` returns.
    """

    output: R = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] - nothing, of any type


def _check_retry(_step: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, Retry):
        raise InvalidOption(attribute.name, value, "must be a `Retry(…)`")


def _check_compensation(_step: object, _attribute: object, value: Any) -> None:
    if value is not None and not callable(value):
        raise InvalidOption("compensate", value, "must be a function of what the step did, and of its context")


@attrs.frozen(eq=False)
class Step(Generic[R]):
    """A step of workflows; made by `@step`. Calling it calls its function.

    Attributes:
        function: Async, or plain, which runs in a worker thread. A parameter called `context` gets a `StepContext`.
        name: Known to journals.
        compensate: Undoes it: called with what the step returned, or the `compensate_with` of its answer; with None
            where the step failed or was cancelled half-way. A parameter called `context` gets a `StepContext`. A step
            may stand here, with its own `retry` and `timeout`.
        retry: Of the step.
        timeout: Seconds for each attempt.
        compensate_retry, compensate_timeout: The same of the compensation.
    """

    function: Callable[..., Any]
    name: str
    compensate: Callable[..., Any] | None = attrs.field(default=None, validator=_check_compensation)
    retry: Retry = attrs.field(default=ONE_ATTEMPT, validator=_check_retry)
    timeout: float | None = attrs.field(default=None, validator=seconds(above=True, optional=True))
    compensate_retry: Retry = attrs.field(default=UNDO, validator=_check_retry)
    compensate_timeout: float | None = attrs.field(default=None, validator=seconds(above=True, optional=True))
    takes_context: bool = attrs.field(init=False)
    is_async: bool = attrs.field(init=False)
    hint: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "takes_context", takes_context(self.function))
        object.__setattr__(self, "is_async", is_async(self.function))
        object.__setattr__(self, "hint", hint_of(self.function, "return"))
        undo = self.compensate
        if isinstance(undo, Step):
            object.__setattr__(self, "compensate", undo.function)
            object.__setattr__(self, "compensate_retry", undo.retry)
            object.__setattr__(self, "compensate_timeout", undo.timeout)

    def __repr__(self) -> str:
        return f"<Step {self.name}>"

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.function(*arguments, **options)


@attrs.define(eq=False)
class Workflow(Generic[R]):
    """A workflow; made by `@workflow`.

    Attributes:
        function: Async; gets the run's `Flow`, and its input where it takes one.
        name: Known to journals.
        timeout: Seconds from the start of a run until it fails.
        hooks: The handlers of each hook, in their order.
    """

    function: Callable[..., Awaitable[R]]
    name: str
    timeout: float | None = attrs.field(default=None, validator=seconds(above=True, optional=True))
    hooks: dict[str, list[Step[Any]]] = attrs.field(factory=dict, init=False)
    takes_input: bool = attrs.field(init=False)
    input_hint: Any = attrs.field(init=False)
    hint: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        parameters = _positional(self.function)
        if not is_async(self.function):
            raise InvalidWorkflow(self.name, "a workflow is an `async def` function")
        if not 1 <= len(parameters) <= 2:
            raise InvalidWorkflow(self.name, "a workflow takes a flow and, if it wants, one input")
        self.takes_input = len(parameters) == 2
        self.input_hint = hint_of(self.function, parameters[-1].name) if self.takes_input else Any
        self.hint = hint_of(self.function, "return")

    def __repr__(self) -> str:
        return f"<Workflow {self.name}>"

    def hook(self, name: str) -> "Callable[[Callable[..., Any] | Step[Any]], Step[Any]]":
        """Declare a function, or a step, as a handler of this workflow's hook `name`; handlers run in their order.

        Raises:
            InvalidName: the name breaks the rules of names.
        """
        tokens_of_name(name)

        def declare(handler: "Callable[..., Any] | Step[Any]") -> Step[Any]:
            declared: Step[Any] = handler if isinstance(handler, Step) else step(handler)
            self.hooks.setdefault(name, []).append(declared)
            return declared

        return declare


class DeclareStep:
    """What `step(…)` returns: declares a function."""

    def __init__(self, name: str | None, options: dict[str, Any]) -> None:
        self._name, self._options = name, options

    @overload
    def __call__(self, function: Callable[..., Awaitable[StepAnswer[R]]]) -> Step[R]: ...
    @overload
    def __call__(self, function: Callable[..., Awaitable[R]]) -> Step[R]: ...
    @overload
    def __call__(self, function: Callable[..., R]) -> Step[R]: ...

    def __call__(self, function: Any) -> Step[Any]:
        return Step(function, _name_of(function, self._name), **self._options)


@overload
def step(function: Callable[..., Awaitable[StepAnswer[R]]], /) -> Step[R]: ...
@overload
def step(function: Callable[..., Awaitable[R]], /) -> Step[R]: ...
@overload
def step(function: Callable[..., R], /) -> Step[R]: ...
@overload
def step(
    *,
    name: str | None = None,
    compensate: Callable[..., Any] | None = None,
    retry: Retry = ONE_ATTEMPT,
    timeout: float | None = None,
    compensate_retry: Retry = UNDO,
    compensate_timeout: float | None = None,
) -> DeclareStep: ...


def step(function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Declare a function as a step of workflows, with `@step` or `@step(compensate=…)`; options as of `Step`.

    Raises:
        InvalidWorkflow, InvalidName, InvalidOption: it can't be one.
    """
    declare = DeclareStep(name, options)
    return declare if function is None else declare(function)


class DeclareWorkflow:
    """What `workflow(…)` returns: declares a function."""

    def __init__(self, name: str | None, timeout: float | None) -> None:
        self._name, self._timeout = name, timeout

    def __call__(self, function: Callable[..., Awaitable[R]]) -> Workflow[R]:
        return Workflow(function, _name_of(function, self._name), self._timeout)


@overload
def workflow(function: Callable[..., Awaitable[R]], /) -> Workflow[R]: ...
@overload
def workflow(*, name: str | None = None, timeout: float | None = None) -> DeclareWorkflow: ...


def workflow(function: Any = None, /, *, name: str | None = None, timeout: float | None = None) -> Any:
    """Declare an async function as a workflow, with `@workflow` or `@workflow(timeout=…)`.

    It gets a `Flow` and, if it wants, one input. It may use any control flow, and must do the same each time it runs
    with the same results of its steps: what touches the world belongs into steps.

    Args:
        name: By which journals know it; that of the function by default.
        timeout: Seconds from the start of a run until it fails, and what it did is undone.

    Raises:
        InvalidWorkflow, InvalidName, InvalidOption: it can't be one.
    """
    declare = DeclareWorkflow(name, timeout)
    return declare if function is None else declare(function)


def _name_of(function: Any, name: str | None) -> str:
    if isinstance(function, Step | Workflow) or not callable(function):
        raise InvalidWorkflow(function, "a step or a workflow is declared from a function")
    chosen = getattr(function, "__name__", None) if name is None else name
    if not isinstance(chosen, str):
        raise InvalidWorkflow(function, "it has no name; pass `name=`")
    tokens_of_name(chosen)
    return chosen


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except Exception as error:  # the function may be an object of any class
        raise InvalidWorkflow(function, f"its parameters can't be read ({type(error).__name__})") from error
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether a step, or a compensation, has a parameter called `context`."""
    try:
        return "context" in inspect.signature(function).parameters
    except Exception as error:  # likewise
        raise InvalidWorkflow(function, f"its parameters can't be read ({type(error).__name__})") from error


def hint_of(function: Callable[..., Any], parameter: str) -> Any:
    """What a function says of the type of a parameter, or of what it returns; Any where that can't be told."""
    try:
        hint = get_type_hints(getattr(function, "func", function)).get(parameter, Any)
    except Exception:  # names that exist for type checkers only
        return Any
    if get_origin(hint) in (StepAnswer, Skip):
        return hint.__args__[0]
    return hint


def as_workflow(value: object) -> Workflow[Any]:
    """A workflow.

    Raises:
        InvalidWorkflow: it is none.
    """
    if not isinstance(value, Workflow):
        raise InvalidWorkflow(quoted(value), "it is no workflow; declare it with `@workflow`")
    return value
