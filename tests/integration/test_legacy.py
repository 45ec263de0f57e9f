"""Runs of older layouts are read and labelled, and their files are not changed."""

import json
from pathlib import Path

import pytest

from filmgate.core.legacy import LegacyRun
from filmgate.core.states import RunState, StageState
from filmgate.pipelines.episode.plan import PLAN
from filmgate.store.legacy import legacy_runs
from support.runs import execute, reserve_run


def read(home: Path) -> list[LegacyRun]:
    before = sorted(home.rglob("*"))
    runs = list(legacy_runs(home, PLAN.former_names))
    assert sorted(home.rglob("*")) == before
    return runs


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def test_markers_of_an_asset_without_run_ids_are_one_run(tmp_path: Path) -> None:
    runs = tmp_path / "manifests" / "show-s01e01" / "runs"
    write(
        runs / "detect_track.json",
        {"phase": "detect_track", "status": "success", "finished_at": "2025-01-02T03:04:05+00:00"},
    )
    write(runs / "faces_embed.json", {"status": "error", "error": "no faces"})
    (run,) = read(tmp_path)
    assert (run.asset_id, run.run_id, run.data_source) == ("show-s01e01", None, "legacy")
    assert run.stages["detect"].status is StageState.SUCCESS
    assert run.stages["detect"].ended is not None
    assert run.stages["faces"].error == "no faces"
    assert run.status is RunState.FAILED
    assert all(stage.is_derived for stage in run.stages.values())


def test_a_marker_takes_precedence_over_the_status_file_of_its_run(tmp_path: Path) -> None:
    folder = tmp_path / "manifests" / "show" / "runs" / "Attempt1"
    write(
        folder / "episode_status.json",
        {"stages": {"detect/track": {"status": "running"}, "faces harvest": "done"}},
    )
    write(folder / "detect_track.json", {"status": "completed"})
    (run,) = read(tmp_path)
    assert run.run_id == "Attempt1"
    assert {name: (s.status, s.derived_from) for name, s in run.stages.items()} == {
        "detect": (StageState.SUCCESS, "detect_track.json"),
        "faces": (StageState.SUCCESS, "episode_status.json"),
    }


def test_a_status_file_beside_the_runs_is_a_run_of_the_asset(tmp_path: Path) -> None:
    write(
        tmp_path / "manifests" / "show" / "episode_status.json",
        {"stages": {"screen_time": {"status": "success"}, "pdf_export": {"status": "error"}}},
    )
    (run,) = read(tmp_path)
    assert sorted(run.stages) == ["pdf", "screentime"]


@pytest.mark.parametrize(
    "contents", ["", "{", "[]", '{"status": 3}', '{"status": "purple"}', "\x00" * 10, "{}"]
)
def test_files_that_are_not_markers_are_not_runs(tmp_path: Path, contents: str) -> None:
    write(tmp_path / "manifests" / "show" / "runs" / "one" / "detect.json", contents)
    assert read(tmp_path) == []


def test_a_run_of_the_current_layout_is_not_a_legacy_run(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path, source)
    execute(run, source)
    assert read(tmp_path) == []
