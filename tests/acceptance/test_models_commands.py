"""`filmgate models`, and weights that a run uses from the next time on."""

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


def there(filmgate: Filmgate) -> list[str]:
    return [each["name"] for each in filmgate.json("models", "list")["models"] if each["model"]]


def weights_of(filmgate: Filmgate, name: str) -> Path:
    (path,) = (filmgate.home / "models" / name).glob("*.onnx")
    return path


def test_weights_are_added_checked_and_known_by_digest(filmgate: Filmgate, tmp_path: Path) -> None:
    told = filmgate.json("models", "list")["models"]
    assert all(each["get"] and each["makers_licence"] and each["model"] is None for each in told)
    path = onnx_models.yolox(tmp_path / "yolox_nano.onnx", cell=0, label=0)
    added = filmgate.json("models", "add", "yolox", path, "--licence", "Apache-2.0")
    assert (added["version"], added["licence"]) == ("yolox_nano", "Apache-2.0")
    assert there(filmgate) == ["yolox"]
    assert filmgate.json("models", "check")["models"][0]["fault"] is None
    again = filmgate.json("models", "add", "yolox", path, "--licence", "mine")
    assert again == added
    assert sorted(each.name for each in (filmgate.home / "models" / "yolox").iterdir()) == sorted(
        [added["weights"], "model.json"]
    )


def junk(path: Path) -> Path:
    path.write_bytes(bytes(range(256)) * 100)
    return path


@pytest.mark.proof
def test_other_weights_want_replace_and_altered_ones_are_told(
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
    assert there(filmgate) == []
    assert filmgate("models", "remove", "yolox").returncode == 5


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("nope", lambda path: path, 5),
        ("yolox", lambda path: path / "absent.onnx", 5),
        ("yolox", lambda path: path, 4),
        ("yolox", lambda path: onnx_models.sface(path / "other.onnx"), 4),
        ("yunet", lambda path: junk(path / "junk.onnx"), 4),
        ("places365", lambda path: path, 4),
        ("places365", lambda path: onnx_models.sface(path / "file.onnx"), 4),
    ],
)
def test_what_cannot_be_added_is_refused_and_leaves_nothing(
    filmgate: Filmgate, tmp_path: Path, name: str, make: Callable[[Path], Path], code: int
) -> None:
    (tmp_path / "sources").mkdir()
    source = make(tmp_path / "sources")
    done = filmgate("models", "add", name, source)
    assert done.returncode == code, done.stderr
    assert "expected:" in done.stderr
    folder = filmgate.home / "models"
    assert not folder.exists() or [each.name for each in folder.iterdir()] in ([], [".lock"])


@pytest.mark.proof
def test_a_run_takes_a_model_that_is_there_and_names_its_weights(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [30, 30])
    line = ("run", "episode", film, "--no-ingest", "--run-id", "one")
    before = filmgate.json(*line)["stages"]
    assert (before["objects"]["status"], before["places"]["status"]) == ("SKIPPED", "SKIPPED")
    added = filmgate.json(
        "models", "add", "yolox", onnx_models.yolox(tmp_path / "y.onnx", cell=19, label=2)
    )
    labels = ["cellar", "attic", "roof"]
    filmgate.json("models", "add", "places365", onnx_models.places(tmp_path / "p", labels))
    manifest = filmgate.json(*line)
    objects, places = manifest["stages"]["objects"], manifest["stages"]["places"]
    assert objects["producer"]["weights_sha256"] == added["sha256"]
    assert (objects["status"], places["status"]) == ("SUCCESS", "SUCCESS")
    folder = filmgate.folder(manifest)
    seen = [json.loads(each) for each in (folder / "objects.jsonl").read_text().splitlines()]
    assert {each["payload"]["label"] for each in seen} == {"car"}
    told = [json.loads(each) for each in (folder / "places.jsonl").read_text().splitlines()]
    assert [(each["span_start_ms"], each["span_end_ms"]) for each in told] == [
        (0, 1200),
        (1200, 2400),
    ]
    assert {each["payload"]["label"] for each in told} <= set(labels)
    again = filmgate.json("plan", "episode", film, "--run-id", "one")
    fates = {each["stage"]: each["fate"] for each in again["stages"]}
    assert (fates["objects"], fates["places"]) == ("reuse", "reuse")


@pytest.mark.proof
def test_spoilt_weights_fail_the_stage_by_name_and_nothing_falls_back(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [30])
    path = onnx_models.yolox(tmp_path / "y.onnx", cell=19, label=2)
    filmgate.json("models", "add", "yolox", path)
    weights_of(filmgate, "yolox").write_bytes(b"spoilt")
    manifest = filmgate.json("run", "episode", film, "--no-ingest", code=1)
    objects = manifest["stages"]["objects"]
    assert objects["status"] == "FAILED"
    assert "weights of yolox changed" in objects["error"]["message"]
    weights_of(filmgate, "yolox").unlink()
    (lost,) = filmgate.json("models", "check", code=4)["models"]
    assert "changed since they were added" in lost["fault"]
    filmgate.json("models", "add", "yolox", path)
    assert filmgate.json("models", "check")["models"][0]["fault"] is None


def test_a_broken_record_fails_only_who_consults_it(filmgate: Filmgate, tmp_path: Path) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [30])
    folder = filmgate.home / "models" / "places365"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{")
    stages = filmgate.json("run", "episode", film, "--no-ingest", code=1)["stages"]
    assert (stages["places"]["status"], stages["scenes"]["status"]) == ("FAILED", "SUCCESS")
    (told,) = filmgate.json("models", "check", code=4)["models"]
    assert "model.json" in told["fault"]
