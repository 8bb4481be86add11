"""Shrinking: a failing program made smaller, for as long as it still fails in the same way.

Dropping an operation changes the schedule as well, since the seed meets other tasks then. So each smaller program is
tried under some schedules, and a failure counts as the same if it says the same but for names and numbers.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from .program import Draft, End, Operation, Program, Spawn, Spec
from .running import Result, run_program

MOST_RUNS: Final = 1500
SCHEDULES: Final = 4
"""Schedules under which each smaller program is tried, that of the failure first."""


@attrs.define(eq=False)
class Shrinker:
    """Makes the program of one failure smaller.

    Attributes:
        best: The smallest that fails so far.
        runs: How many were tried.
        simpler: Programs that differ from one by a value that is simpler.
    """

    best: Result
    run: Callable[..., Result] = run_program
    most_runs: int = MOST_RUNS
    runs: int = 0
    simpler: Callable[[Any], Iterator[Any]] = attrs.field(default=lambda program: simpler_programs(program))

    def shrink(self) -> Result:
        """The smallest failing program that was found; it is the given one where none is smaller."""
        smaller = True
        while smaller and self.runs < self.most_runs:
            smaller = self._drop_operations() | self._simplify()
        return self.best

    def _drop_operations(self) -> bool:
        """Drop halves, quarters and so on, down to single ones."""
        dropped = False
        size = max(1, len(self.best.program.operations) // 2)
        while size and self.runs < self.most_runs:
            at = 0
            while at < len(self.best.program.operations):
                operations = self.best.program.operations
                if self._try(attrs.evolve(self.best.program, operations=operations[:at] + operations[at + size :])):
                    dropped = True
                else:
                    at += size
            size //= 2
        return dropped

    def _simplify(self) -> bool:
        """Make single values as they are by default."""
        simpler = False
        again = True
        while again and self.runs < self.most_runs:
            again = any(self._try(each) for each in self.simpler(self.best.program))
            simpler = simpler or again
        return simpler

    def _try(self, program: Any) -> bool:
        """Whether a program fails as the best one does; then it is the best one."""
        seed = self.best.seed
        for schedule in [seed, *range(SCHEDULES - 1)]:
            if self.runs >= self.most_runs:
                return False
            self.runs += 1
            result = self.run(program, schedule, self.best.backend)
            if result.kind == self.best.kind:
                self.best = result
                return True
        return False


def simpler_programs(program: Program) -> Iterator[Program]:
    """Programs that differ from this one by one value that is simpler."""
    yield from _simpler(program, Program(), skipped=("operations", "end"))
    for end in _simpler(program.end, End()):
        yield attrs.evolve(program, end=end)
    for at, operation in enumerate(program.operations):
        for simpler in _simpler_operations(operation):
            yield attrs.evolve(program, operations=(*program.operations[:at], simpler, *program.operations[at + 1 :]))


def _simpler_operations(operation: Operation) -> Iterator[Operation]:
    if operation.cancel_after is not None:
        yield attrs.evolve(operation, cancel_after=None)
    if isinstance(operation, Spawn):
        spec = operation.spec
        plain = Spec(name=spec.name, patterns=spec.patterns, kind=spec.kind)
        for each in _simpler(spec, plain, skipped=("name", "kind")):
            yield attrs.evolve(operation, spec=each)
    drafts: tuple[Draft, ...] = getattr(operation, "drafts", ())
    for at, draft in enumerate(drafts):
        if len(drafts) > 1:
            yield attrs.evolve(operation, drafts=drafts[:at] + drafts[at + 1 :])  # type: ignore[call-arg]
        for each in _simpler(draft, Draft(name=draft.name), skipped=("name",)):
            yield attrs.evolve(operation, drafts=(*drafts[:at], each, *drafts[at + 1 :]))  # type: ignore[call-arg]


def _simpler(value: Any, plain: Any, skipped: tuple[str, ...] = ()) -> Iterator[Any]:
    """`value` with one of its fields as `plain` has it."""
    for field in attrs.fields(type(value)):
        usual = getattr(plain, field.name)
        if field.name not in skipped and getattr(value, field.name) != usual:
            yield attrs.evolve(value, **{field.name: usual})


def shown(program: Any) -> str:
    """A program for people: its operations one a line, without what is as usual."""
    kind = type(program)
    lines = [f"{kind.__name__}({', '.join(_unusual(program, kind(), ('operations',)))}):"]
    lines += [f"    {_shown(operation)}" for operation in program.operations]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({''.join(f'{_shown(each)}, ' for each in value).rstrip()})"
    if not attrs.has(type(value)):
        return repr(value)
    parts = []
    for field in attrs.fields(type(value)):
        is_usual = field.default is not attrs.NOTHING and getattr(value, field.name) == field.default
        if not is_usual:
            parts.append(f"{field.name}={_shown(getattr(value, field.name))}")
    return f"{type(value).__name__}({', '.join(parts)})"


def _unusual(value: Any, plain: Any, skipped: tuple[str, ...]) -> list[str]:
    return [
        f"{field.name}={_shown(getattr(value, field.name))}"
        for field in attrs.fields(type(value))
        if field.name not in skipped and getattr(value, field.name) != getattr(plain, field.name)
    ]
