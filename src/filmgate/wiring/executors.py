"""Choice of the executor that runs the items of a run's stages."""

from filmgate.core.pipeline import Pipeline
from filmgate.core.ports import Executor
from filmgate.engine.executors.in_process import InProcess
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.executors.ray_cluster import RayCluster


def create_executor(name: str, jobs: int, pipeline: Pipeline, lock: int) -> Executor:
    """Create the executor `ray`, or for any other name that of this machine for `jobs` processes.

    Processes are used for more than one job, and for pipelines whose items are untrusted. `lock`:
    descriptor of the lease's lock file, which worker processes inherit.
    """
    if name == "ray":
        return RayCluster(jobs)
    if jobs > 1 or pipeline.items_apart:
        return ProcessPool(jobs, lock)
    return InProcess()
