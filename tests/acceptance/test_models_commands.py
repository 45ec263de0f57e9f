"""`filmgate models`, and runs that use the installed weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support import onnx_models
from support.command import Filmgate
from support.films import film_of_shots


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home")


def installed(filmgate: Filmgate) -> list[str]:
    models = filmgate.json("models", "list")["models"]
    return [entry["name"] for entry in models if entry["model"]]


def weights_of(filmgate: Filmgate, name: str) -> Path:
    (path,) = (filmgate.home / "models" / name).glob("*.onnx")
    return path


def test_weights_are_added_checked_and_identified_by_digest(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    models = filmgate.json("models", "list")["models"]
    assert all(
        entry["get"] and entry["makers_licence"] and entry["model"] is None for entry in models
    )
    path = onnx_models.yolox(tmp_path / "yolox_nano.onnx", cell=0, label=0)
    added = filmgate.json("models", "add", "yolox", path, "--licence", "Apache-2.0")
    assert (added["version"], added["licence"]) == ("yolox_nano", "Apache-2.0")
    assert installed(filmgate) == ["yolox"]
    assert filmgate.json("models", "check")["models"][0]["fault"] is None
    again = filmgate.json("models", "add", "yolox", path, "--licence", "mine")
    assert again == added
    assert sorted(path.name for path in (filmgate.home / "models" / "yolox").iterdir()) == sorted(
        [added["weights"], "model.json"]
    )


def write_invalid_file(path: Path) -> Path:
    path.write_bytes(bytes(range(256)) * 100)
    return path


@pytest.mark.proof
def test_other_weights_need_replace_and_altered_ones_are_reported(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    first = onnx_models.yolox(tmp_path / "a.onnx", cell=0, label=0)
    assert filmgate.json("models", "add", "yolox", first)["licence"] == "not stated"
    other = onnx_models.yolox(tmp_path / "b.onnx", cell=1, label=0)
    assert filmgate.json("models", "add", "yolox", other, code=6)["error"] == "conflict"
    filmgate.json("models", "add", "yolox", other, "--replace")
    weights = weights_of(filmgate, "yolox")
    weights.write_bytes(weights.read_bytes() + b"\0")
    (altered,) = filmgate.json("models", "check", "yolox", code=4)["models"]
    assert "changed since they were added" in altered["fault"]
    assert filmgate("models", "remove", "yolox").returncode == 0
    assert installed(filmgate) == []
    assert filmgate("models", "remove", "yolox").returncode == 5


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("nope", lambda path: path, 5),
        ("yolox", lambda path: path / "absent.onnx", 5),
        ("yolox", lambda path: path, 4),
        ("yolox", lambda path: onnx_models.sface(path / "other.onnx"), 4),
        ("yunet", lambda path: write_invalid_file(path / "invalid.onnx"), 4),
        ("places365", lambda path: path, 4),
        ("places365", lambda path: onnx_models.sface(path / "file.onnx"), 4),
    ],
)
def test_invalid_weights_are_refused_and_leave_no_files(
    filmgate: Filmgate, tmp_path: Path, name: str, make: Callable[[Path], Path], code: int
) -> None:
    (tmp_path / "sources").mkdir()
    source = make(tmp_path / "sources")
    done = filmgate("models", "add", name, source)
    assert done.returncode == code, done.stderr
    assert "expected:" in done.stderr
    folder = filmgate.home / "models"
    assert not folder.exists() or [path.name for path in folder.iterdir()] in ([], [".lock"])


@pytest.mark.proof
def test_a_run_uses_an_installed_model_and_records_its_weights(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [30, 30])
    command = ("run", "episode", film, "--no-ingest", "--run-id", "one")
    before = filmgate.json(*command)["stages"]
    assert (before["objects"]["status"], before["places"]["status"]) == ("SKIPPED", "SKIPPED")
    added = filmgate.json(
        "models", "add", "yolox", onnx_models.yolox(tmp_path / "y.onnx", cell=19, label=2)
    )
    labels = ["cellar", "attic", "roof"]
    filmgate.json("models", "add", "places365", onnx_models.places(tmp_path / "p", labels))
    manifest = filmgate.json(*command)
    objects, places = manifest["stages"]["objects"], manifest["stages"]["places"]
    assert objects["producer"]["weights_sha256"] == added["sha256"]
    assert (objects["status"], places["status"]) == ("SUCCESS", "SUCCESS")
    folder = filmgate.folder(manifest)
    detections = [json.loads(line) for line in (folder / "objects.jsonl").read_text().splitlines()]
    assert {detection["payload"]["label"] for detection in detections} == {"car"}
    records = [json.loads(line) for line in (folder / "places.jsonl").read_text().splitlines()]
    assert [(record["span_start_ms"], record["span_end_ms"]) for record in records] == [
        (0, 1200),
        (1200, 2400),
    ]
    assert {record["payload"]["label"] for record in records} <= set(labels)
    again = filmgate.json("plan", "episode", film, "--run-id", "one")
    fates = {stage["stage"]: stage["fate"] for stage in again["stages"]}
    assert (fates["objects"], fates["places"]) == ("reuse", "reuse")


@pytest.mark.proof
def test_altered_weights_fail_the_stage_by_name_without_a_fallback(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [30])
    path = onnx_models.yolox(tmp_path / "y.onnx", cell=19, label=2)
    filmgate.json("models", "add", "yolox", path)
    weights_of(filmgate, "yolox").write_bytes(b"altered")
    manifest = filmgate.json("run", "episode", film, "--no-ingest", code=1)
    objects = manifest["stages"]["objects"]
    assert objects["status"] == "FAILED"
    assert "weights of yolox changed" in objects["error"]["message"]
    weights_of(filmgate, "yolox").unlink()
    (missing,) = filmgate.json("models", "check", code=4)["models"]
    assert "changed since they were added" in missing["fault"]
    filmgate.json("models", "add", "yolox", path)
    assert filmgate.json("models", "check")["models"][0]["fault"] is None


def test_a_broken_model_record_fails_only_the_stage_that_reads_it(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [30])
    folder = filmgate.home / "models" / "places365"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{")
    stages = filmgate.json("run", "episode", film, "--no-ingest", code=1)["stages"]
    assert (stages["places"]["status"], stages["scenes"]["status"]) == ("FAILED", "SUCCESS")
    (broken,) = filmgate.json("models", "check", code=4)["models"]
    assert "model.json" in broken["fault"]
