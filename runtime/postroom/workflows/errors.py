"""What workflows raise."""

import attrs

from ..errors import Closed, PostroomError, Rejected
from ..quoting import quoted


class PermanentFailure(Exception):
    """Raise it in a step to say that another attempt won't help: the step fails at once, whatever its `retry` says.

    As the value of a signal it fails the wait for that signal.
    """


@attrs.define
class InvalidWorkflow(Rejected):
    """A function can't be a step or a workflow the way it was declared, or what was given is none."""

    name: object = attrs.field(repr=quoted)
    reason: str

    def __str__(self) -> str:
        return f"{quoted(self.name)} can't be used here: {self.reason}"


@attrs.define
class AmbiguousStep(Rejected):
    """Which step is which can't be told when the workflow runs again. Nothing was begun."""

    step: str
    reason: str

    def __str__(self) -> str:
        return (
            f"step {self.step!r}: {self.reason}. Steps are known by their names and their order: run those that go "
            'side by side with `flow.together()`, or give each one a `key="…"` of its own.'
        )


@attrs.define
class StepFailed(PostroomError):
    """Raised by `flow.run`: a step has failed for good. The workflow may catch it and go on.

    Attributes:
        step: Its path.
        type, message: Of what it raised last; the same when the workflow runs again, when `__cause__` is a
            `RemoteFailure`.
    """

    step: str
    attempts: int
    type: str
    message: str

    def __str__(self) -> str:
        return f"step {self.step} failed after {self.attempts} attempt(s): {self.type}: {self.message}"


@attrs.define
class StepTimeout(PostroomError, TimeoutError):
    """An attempt at a step took longer than its `timeout`, and was cancelled."""

    step: str
    timeout: float

    def __str__(self) -> str:
        return f"step {self.step} took longer than {self.timeout:g} s"


@attrs.define
class NotSignalled(PostroomError, TimeoutError):
    """Raised by `flow.wait_for`: nobody has sent the signal in time. It was not taken, and never will be."""

    signal: str
    within: float

    def __str__(self) -> str:
        return f"the signal {self.signal!r} did not come within {self.within:g} s"


@attrs.define
class WorkflowFailed(PostroomError):
    """A workflow has failed, and what its steps did was undone. What it raised is the `__cause__`.

    Attributes:
        step: The path of the step that failed; None where the workflow itself did.
        type, message: Of what was raised.
    """

    id: str
    workflow: str
    step: str | None
    type: str
    message: str

    def __str__(self) -> str:
        where = "" if self.step is None else f" at step {self.step}"
        return f"workflow {self.workflow} {quoted(self.id)} failed{where}: {self.type}: {self.message}"


@attrs.define
class WorkflowCancelled(PostroomError):
    """A workflow was cancelled, and what its steps did was undone."""

    id: str
    workflow: str

    def __str__(self) -> str:
        return f"workflow {self.workflow} {quoted(self.id)} was cancelled"


@attrs.define
class WorkflowTimeout(PostroomError, TimeoutError):
    """The cause of a `WorkflowFailed`: the workflow took longer than its `timeout`."""

    workflow: str
    timeout: float

    def __str__(self) -> str:
        return f"workflow {self.workflow} took longer than {self.timeout:g} s"


@attrs.define
class WorkflowNeedsAttention(PostroomError):
    """Compensations have failed for good; all others ran. `workflows.resume(id)` tries those again.

    Attributes:
        steps: The paths of the steps that are not undone.
    """

    id: str
    workflow: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"workflow {self.workflow} {quoted(self.id)} needs attention: {', '.join(self.steps)} could not be undone. "
            "Mend what keeps them from it, and call `workflows.resume(id)`."
        )


@attrs.define
class WorkflowParked(PostroomError):
    """A workflow's journal does not fit its code any more, so it does not go on.

    Attributes:
        journal: What the journal has at that place.
        code: What the code asked for.
    """

    id: str
    workflow: str
    journal: str
    code: str

    def __str__(self) -> str:
        return (
            f"workflow {self.workflow} {quoted(self.id)} is parked, since its code has changed: the journal has "
            f"{self.journal}, the code {self.code}. Run code that fits, and call `workflows.resume(id)`; or forget it."
        )


@attrs.define
class UnknownRun(Rejected):
    """There is no workflow of this id, or it is over and forgotten, or in a state in which this can't be done."""

    id: object = attrs.field(repr=quoted)
    reason: str = "there is none, or it is no longer remembered"

    def __str__(self) -> str:
        return f"workflow {quoted(self.id)}: {self.reason}"


@attrs.define
class ConflictingRun(Rejected):
    """The id was given before to another workflow, or with another input. That one stands."""

    id: str
    workflow: str

    def __str__(self) -> str:
        return f"id {quoted(self.id)} belongs to a run of {self.workflow} that was started with something else"


@attrs.define
class WorkflowsClosed(Closed):
    """The `Workflows` block was not entered yet, or is being left."""

    state: str

    def __str__(self) -> str:
        return f"no workflow can be run here: the block of `Workflows` is {self.state}"
