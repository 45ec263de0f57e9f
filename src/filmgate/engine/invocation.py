"""An invocation: what is asked of a run, and what it is given to work with."""

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


def in_process(lock: int) -> Executor:  # noqa: ARG001 - the form of executors
    """The executor of whoever chooses none."""
    return InProcess()


def no_store(place: str, *, make: bool = False) -> ObjectStore:  # noqa: ARG001 - the port's form
    """The stores of whoever gives none."""
    raise Unavailable("no object stores can be reached here", expected="open_store", got=place)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which stages may run, and how."""

    stages: frozenset[StageName]
    """Which stages may run; the others are verified, not trusted."""
    named: frozenset[StageName] = frozenset()
    """Which of them were asked for by name: these may not be skipped in silence."""
    force: bool = False
    """Run the stages again though they are up to date."""
    repair: bool = False
    """Make missing or altered files again, also those of stages that these stand on."""
    strict: bool = False
    """One bad item fails its stage."""
    jobs: int = 1
    """How many stages that do not stand on each other run side by side."""

    def concerns(self, plan: Plan, stage: Stage) -> bool:
        """Whether the stage was asked for, or under repair, one that stands on it."""
        if stage.name in self.stages:
            return True
        return self.repair and any(stage.name in plan.ancestors(name) for name in self.stages)

    def forces(self, stage: Stage) -> bool:
        """Whether the stage runs though it is up to date."""
        return self.force and stage.name in self.stages

    def protects(self, stage: Stage) -> bool:
        """Whether the stage's own files may not be written over in silence."""
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
    """What stages may consult besides the run."""
    executor: Callable[[int], Executor] = in_process
    """Makes what stages fan out over, given the descriptor of the lease's lock."""
    open_store: OpenStore = no_store
    """Opens object stores for stages whose items lie in one."""
    sinks: tuple[EventSink, ...] = ()
    is_detailed: bool = False
    """Whether logs tell details too."""
