"""A Ray cluster of two nodes on this machine; one of them can be killed."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

TESTS = str(Path(__file__).parents[1])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Cluster]":
    """A cluster of two nodes; `RAY_ADDRESS` is its address."""
    import ray  # heavy, and few tests need it
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, *sys.path]))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call] # not annotated in Ray


def kill_worker_node(cluster: "Cluster") -> None:
    """Kill the processes of the node that is not the head."""
    node = next(iter(cluster.worker_nodes))
    for processes in node.all_processes.values():
        for process in processes:
            os.kill(process.process.pid, signal.SIGKILL)
