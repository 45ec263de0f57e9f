"""An invocation: which stages of a run to execute, and the services to execute them with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from filmgate.core.errors import Unavailable
from filmgate.core.ids import StageName
from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Stage
from filmgate.core.ports import Clock, EventSink, Executor, Observer, RunDirectory
from filmgate.core.resources import Resources
from filmgate.engine.executors.in_process import InProcess
from filmgate.engine.inputs import Inputs


def in_process_executor(lock: int) -> Executor:  # noqa: ARG001 - signature of an executor factory
    """Make the default executor, which works in this process."""
    return InProcess()


def refuse_store(place: str, *, make: bool = False) -> ObjectStore:  # noqa: ARG001 - OpenStore
    """Raise Unavailable: the default if the invocation cannot open object stores."""
    raise Unavailable(
        "this invocation cannot open object stores",
        expected="an invocation that passes open_store",
        got=place,
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which stages may run, and how they run."""

    stages: frozenset[StageName]
    """Stages that may run; the files of all other stages are verified."""
    named: frozenset[StageName] = frozenset()
    """Stages of `stages` that were selected by name; a skipped one is reported as blocked."""
    force: bool = False
    """Run the selected stages again even if they are up to date."""
    repair: bool = False
    """Make missing or altered files of the selected stages and their upstream stages again."""
    strict: bool = False
    """Fail a stage if one of its items fails."""
    jobs: int = 1
    """Maximum number of stages that run in parallel, if they do not depend on each other."""

    def selects(self, plan: Plan, stage: Stage) -> bool:
        """Whether the stage is selected; with `repair`, also if a selected stage depends on it."""
        if stage.name in self.stages:
            return True
        return self.repair and any(stage.name in plan.ancestors(name) for name in self.stages)

    def forces(self, stage: Stage) -> bool:
        """Whether the stage runs even if it is up to date."""
        return self.force and stage.name in self.stages

    def protects(self, stage: Stage) -> bool:
        """Whether altered files of the stage itself must not be overwritten."""
        return not (self.repair or self.forces(stage))


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One invocation of a plan on a run."""

    plan: Plan
    run: RunDirectory
    inputs: Inputs
    request: Request
    registry: Registry
    observer: Observer
    clock: Clock
    resources: Resources = field(default_factory=dict)
    """Resources outside the run that stages may read, by name."""
    executor: Callable[[int], Executor] = in_process_executor
    """Function that makes the executor for items from the file descriptor of the lease's lock."""
    open_store: OpenStore = refuse_store
    """Function that opens object stores, for stages whose items are stored in one."""
    sinks: tuple[EventSink, ...] = ()
    """Receivers of every event of the run."""
    is_detailed: bool = False
    """Whether logs contain debug events too."""
