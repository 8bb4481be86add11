"""Random workflows of steps that succeed and fail: in the end all that they did and told stands, or nothing."""

from collections import Counter
from typing import Any

import anyio
import attrs
from hypothesis import given
from hypothesis import strategies as st

from postroom import (
    Event,
    Flow,
    PermanentFailure,
    Retry,
    Runtime,
    Skip,
    Step,
    StepContext,
    StepFailed,
    Workflow,
    WorkflowFailed,
    Workflows,
    constant,
    step,
    subscriber,
    workflow,
)
from tests.promises.quick import LIBRARIES, Library, run
from tests.workflows.processes import Processes


@attrs.frozen
class Leaf:
    """A step: how often it fails, for good or not, how long it takes, and whether it has anything to undo."""

    failures: int
    permanent: bool
    seconds: int
    skips: bool


@attrs.frozen
class Branch:
    """Several things: one after the other, side by side, or in a workflow of their own; whose failure may be caught."""

    kind: str
    caught: bool
    children: tuple[Any, ...]


leaves = st.builds(
    Leaf, st.sampled_from([0, 0, 0, 0, 1, 9]), st.booleans(), st.integers(0, 3), st.sampled_from([False, False, True])
)
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        Branch,
        st.sampled_from(["line", "together", "nested"]),
        st.booleans(),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


@attrs.define(eq=False)
class World:
    """What the steps did, by their keys; and what was told."""

    standing: set[str] = attrs.field(factory=set)
    finished: Counter[str] = attrs.field(factory=Counter)
    attempts: Counter[str] = attrs.field(factory=Counter)
    heard: list[str] = attrs.field(factory=list)

    def step(self, leaf: Leaf) -> Step[Any]:
        async def undo(done: object, context: StepContext) -> None:
            self.standing.discard(context.idempotency_key)

        @step(
            name="leaf",
            compensate=undo,
            retry=Retry(attempts=3, backoff=constant(0)),
        )
        async def act(context: StepContext) -> Any:
            key = context.idempotency_key
            self.attempts[key] += 1
            await context.emit("done", key)
            if not leaf.skips:
                self.standing.add(key)
            await anyio.sleep(leaf.seconds)
            if self.attempts[key] <= leaf.failures:
                raise (PermanentFailure if leaf.permanent else ValueError)("no")
            self.finished[key] += 1
            return Skip(key) if leaf.skips else key

        return act

    async def walk(self, flow: Flow, tree: Any) -> None:
        if isinstance(tree, Leaf):
            await flow.run(self.step(tree))
            return
        try:
            await self._walk_branch(flow, tree)
        except StepFailed:
            if not tree.caught or tree.kind != "nested":
                raise

    async def _walk_branch(self, flow: Flow, tree: Branch) -> None:
        if tree.kind == "line":
            for child in tree.children:
                await self.walk(flow, child)
        elif tree.kind == "nested":
            await flow.run(self.workflow(Branch("line", False, tree.children), "inner"))
        else:
            async with flow.together() as together:
                for child in tree.children:
                    if isinstance(child, Leaf):
                        together.run(self.step(child))
                    else:
                        together.run(self.workflow(child, "beside"))

    def workflow(self, tree: Any, name: str) -> Workflow[None]:
        @workflow(name=name)
        async def walk(flow: Flow) -> None:
            await self.walk(flow, tree)

        return walk

    @property
    def ear(self) -> Any:
        @subscriber("done", name="ear")
        async def hear(event: Event) -> None:
            self.heard.append(event.data)

        return hear

    def check(self, succeeded: bool) -> None:
        if not succeeded:
            assert not self.standing
            assert not self.heard
        assert self.standing <= set(self.heard), "what stands was told"
        assert set(self.heard) <= set(self.finished), "what was told was done"


async def result_of(workflows: Workflows, id: str) -> bool:
    try:
        await workflows.handle(id).result()
    except WorkflowFailed:
        return False
    return True


def check_here(tree: Any, library: Library) -> None:
    world = World()

    async def main() -> bool:
        async with Runtime(subscribers=[world.ear]) as runtime, Workflows(runtime) as workflows:
            await workflows.start(world.workflow(tree, "root"), id="1")
            succeeded = await result_of(workflows, "1")
            await runtime.idle()
        return succeeded

    world.check(run(library, main))
    assert len(world.heard) == len(set(world.heard)), "told once"


def check_killed(tree: Any, library: Library, after: float) -> None:
    world, processes = World(), Processes()
    root = world.workflow(tree, "root")

    async def main() -> bool:
        await processes.killed_after(after, root, subscribers=[world.ear], id="1")
        recorded = {key for key, count in world.finished.items() if count}
        before = Counter(world.finished)
        async with processes.one(root, subscribers=[world.ear]) as workflows:
            succeeded = await result_of(workflows, "1")
            await workflows.runtime.idle()
        assert recorded <= set(world.finished)
        assert all(world.finished[key] - before[key] <= 1 for key in world.finished), "at most once more"
        return succeeded

    world.check(run(library, main))


@given(tree=trees, library=st.sampled_from(LIBRARIES))
def test_all_of_a_workflow_stands_and_is_told_or_nothing(tree: Any, library: Library) -> None:
    check_here(tree, library)


@given(tree=trees, library=st.sampled_from(LIBRARIES), after=st.sampled_from([0.0, 0.5, 1.5, 2.5, 4.5]))
def test_all_of_it_or_nothing_also_where_its_process_is_killed(tree: Any, library: Library, after: float) -> None:
    check_killed(tree, library, after)
