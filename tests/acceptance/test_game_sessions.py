"""Recorded game sessions whose properties are known."""

import shutil
import threading
import time
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster

from filmgate.engine.executors.ray_cluster import RayCluster
from filmgate.pipelines.gameplay.archive_worker import extract_archive
from filmgate.pipelines.gameplay.contracts import ExtractionTask
from filmgate.pipelines.gameplay.settings import ExtractionSettings
from filmgate.store.addresses import S3Options, open_store
from filmgate.tools.sample_sessions import draw_session, inputs_csv, session_tar
from support.command import Filmgate
from support.sessions import variants
from support.two_nodes import kill_worker_node

MENU_SHARE = 0.419
"""The share of menus in the session that has menus."""

DAY, MENUS, FROZEN = (f"a1d0c0ffee{n:06}" for n in (1, 3, 7))

FLAGS = {
    (f"{DAY}.tar", DAY): set[str](),
    (f"{MENUS}.tar", MENUS): {"is_video_mostly_menu"},
    (f"{FROZEN}.tar", FROZEN): {"is_frozen"},
    ("letterboxed.tar", "letterboxed"): {"is_dpi_scale_issue"},
    ("pillarboxed.tar", "pillarboxed"): {"is_dpi_scale_issue"},
    ("corner.tar", "corner"): {"is_dpi_scale_issue"},
    ("dark.tar", "dark"): {"is_video_mostly_dark"},
}
CODES = {
    "bad_empty.tar": "tar_empty",
    "bad_metadata_not_json.tar": "metadata_not_json",
    "bad_missing_metadata.tar": "no_metadata",
}
SMALL = {"webdataset_two_samples/000000", "webdataset_two_samples/000001"}


@pytest.mark.proof
def test_recorded_and_derived_sessions_get_exactly_the_right_flags(
    test_data: Path, tmp_path: Path
) -> None:
    source = tmp_path / "tars"
    shutil.copytree(test_data / "owl", source)
    log = (test_data / "game" / "mt_day_gameplay.inputs.csv").read_bytes()
    made = variants(test_data / "game" / "mt_day_gameplay.mp4", tmp_path, size=(224, 126))
    for name, video in made.items():
        session_tar(source / f"{name}.tar", video, inputs=log)
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{path.name}\n" for path in source.glob("*.tar")))
    filmgate = Filmgate(tmp_path / "home")
    manifest = filmgate.json(
        "run", "gameplay", "--task-list", listed, "--source-bucket", source,
        "--manifest-bucket", tmp_path / "pt", "--no-ingest", "--workers", 2,
    )  # fmt: skip
    table = pq.read_table(filmgate.folder(manifest) / "quality_manifest.parquet").to_pylist()
    found = {
        (row["s3_key"], row["video_id"]): {name for name, value in row.items() if value is True}
        for row in table
        if row["error"] is None and row["video_id"] not in SMALL
    }
    assert found == FLAGS
    assert {row["s3_key"]: row["error_code"] for row in table if row["error"]} == CODES
    [menus] = [row for row in table if row["video_id"] == MENUS]
    assert menus["video_menu_percent"] == pytest.approx(MENU_SHARE, abs=0.05)
    assert {row["video_id"] for row in table} >= SMALL


@pytest.mark.proof
def test_killing_a_ray_node_during_extraction_loses_nothing(
    tmp_path: Path, cluster: Cluster
) -> None:
    video, source, target = tmp_path / "v.mp4", tmp_path / "in", tmp_path / "out"
    for _ in draw_session(video, "moving"):
        pass
    for number in range(5):
        session_tar(source / f"{number}.tar", video, inputs=inputs_csv([]))
    settings = ExtractionSettings(source_bucket=str(source), manifest_bucket=str(target))
    work = partial(
        extract_archive, open_store=partial(open_store, options=S3Options()), settings=settings
    )
    killer = threading.Thread(target=kill_node_after_first_file, args=(cluster, target))
    killer.start()
    executor = RayCluster(2)
    try:
        outcomes = list(executor.map(work, [ExtractionTask(key=f"{n}.tar") for n in range(5)]))
    finally:
        executor.close()
        killer.join()
    assert [outcome.error for outcome in outcomes] == [None] * 5
    sealed = {item.pt_digest for o in outcomes if o.value is not None for item in o.value.items}
    assert len(sealed) == 5
    assert {path.name for path in target.iterdir()} == {f"{n}.pt" for n in range(5)}


def kill_node_after_first_file(cluster: Cluster, target: Path) -> None:
    """Kill a node when the first file exists."""
    while not list(target.glob("*.pt")):
        time.sleep(0.01)
    kill_worker_node(cluster)
