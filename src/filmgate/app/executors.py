"""Choice of the executor that runs the items of a run's stages."""

from filmgate.app.run_options import RunOptions
from filmgate.core.pipeline import Pipeline
from filmgate.core.ports import Executor
from filmgate.engine.executors.in_process import InProcess
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.executors.ray_cluster import RayCluster


def create_executor(options: RunOptions, pipeline: Pipeline, lock: int) -> Executor:
    """Create the executor of a run: Ray if `options` say so, else processes or this process.

    Processes are used for more than one job, and for pipelines whose items are untrusted. `lock`:
    descriptor of the lease's lock file, which worker processes inherit.
    """
    if options.executor == "ray":
        return RayCluster(options.jobs)
    if options.jobs > 1 or pipeline.items_apart:
        return ProcessPool(options.jobs, lock)
    return InProcess()
