"""A run on two Ray nodes, one of which dies."""

import threading
import time
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from filmgate.core.plan import Done, Outcome, Plan, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.core.states import RunState
from filmgate.engine.executors.ray_cluster import RayCluster
from support.graph import NUMBERS, Number
from support.items import mark_node
from support.runs import PRODUCER, execute, reserve_run
from support.two_nodes import kill_worker_node

ITEMS = 24


@pytest.mark.proof
def test_a_run_ends_right_though_one_of_its_two_nodes_is_killed(
    tmp_path: Path, source: Path, cluster: Cluster
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    @stage(makes=[NUMBERS])
    def count(bench: StageContext, settings: Settings) -> Outcome:
        mapped = bench.map(mark_node, [(str(marks), n) for n in range(ITEMS)])
        values = [Number(number=m.value) for m in mapped if m.value is not None]
        bench.write_records(NUMBERS, values)
        return Done(producer=PRODUCER)

    def kill_one() -> None:
        while len(list(marks.iterdir())) < ITEMS // 3:
            time.sleep(0.01)
        (marks / "killed").touch()
        kill_worker_node(cluster)

    plan = Plan(pipeline="count", stages=(count,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    killer = threading.Thread(target=kill_one)
    killer.start()
    manifest = execute(run, source, plan=plan, executor=lambda lock: RayCluster(3), strict=True)
    killer.join()
    assert (marks / "killed").exists()
    assert manifest.status is RunState.SUCCESS, manifest.stages["count"].error
    numbers = [Number.model_validate_json(line).number for line in _lines(run.folder)]
    assert numbers == list(range(ITEMS))
    assert len({path.read_text() for path in marks.glob("item-*")}) > 1, "one node did it all"


def _lines(folder: Path) -> list[str]:
    return (folder / NUMBERS.path).read_text().splitlines()
