"""Test stages and pipelines without a disk or a database: the ports in memory."""

from filmgate.testing.object_store import MemoryObjectStore, MemoryStores
from filmgate.testing.result import RunResult, StageResult
from filmgate.testing.result_store import MemoryResultStore, StoredRun
from filmgate.testing.run_directory import MemoryRun
from filmgate.testing.running import run_pipeline, run_stage

__all__ = [
    "MemoryObjectStore",
    "MemoryResultStore",
    "MemoryRun",
    "MemoryStores",
    "RunResult",
    "StageResult",
    "StoredRun",
    "run_pipeline",
    "run_stage",
]
