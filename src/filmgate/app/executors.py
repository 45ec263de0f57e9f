"""Which executor a run's stages fan out over."""

from filmgate.app.run_options import RunOptions
from filmgate.core.pipeline import Pipeline
from filmgate.core.ports import Executor
from filmgate.engine.executors.in_process import InProcess


def executor_of(options: RunOptions, pipeline: Pipeline, lock: int) -> Executor:
    """Ray where it was asked for; else processes of this machine, where there is more than one
    job, or items are not to be trusted. `lock` is the descriptor of the lease's lock, which
    workers inherit."""
    if options.executor == "ray":
        from filmgate.engine.executors.ray_cluster import RayCluster  # only where asked for

        return RayCluster(options.jobs)
    if options.jobs > 1 or pipeline.items_apart:
        from filmgate.engine.executors.process_pool import ProcessPool  # likewise

        return ProcessPool(options.jobs, lock)
    return InProcess()
