"""A Ray cluster of two nodes on this machine, one of which can be killed."""

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
    """Two nodes; `RAY_ADDRESS` names them."""
    import ray  # heavy, and few tests want it
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, *sys.path]))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=2)
    made.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    ray.shutdown()
    made.shutdown()  # type: ignore[no-untyped-call] # as Ray has it


def kill_a_node(cluster: "Cluster") -> None:
    """End the node that is not the head, at once."""
    node = next(iter(cluster.worker_nodes))
    for processes in node.all_processes.values():
        for each in processes:
            os.kill(each.process.pid, signal.SIGKILL)
