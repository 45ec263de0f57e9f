"""Whole runs of the episode pipeline on drawn people: results, tampering and unusual inputs."""

import json
import random
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from filmgate.core.errors import ContractBroken
from filmgate.core.manifest import Manifest
from filmgate.core.progress import NullObserver
from filmgate.core.states import RunState, StageState
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs
from filmgate.wiring.settings import Settings
from support.films import write_film, write_tone
from support.portraits import RATE, SHOT_S, film_of_people, picture_of_two, portrait_shots

SHOT_MS = SHOT_S * 1000
MIRRORED = Image.Transpose.FLIP_LEFT_RIGHT
TOLERANCE_MS = 1000 // RATE


def run(home: Path, film: Path, **options: Any) -> tuple[Path, Manifest]:
    """Run in this process, so that the models are imported once."""
    run_options = RunOptions(profile="fast", ingest=False, **options)
    report = Runs(Settings(home=home)).run(
        "episode", film, run_options, NullObserver(), lambda *_: None
    )
    return report.folder, report.manifest


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def states(manifest: Manifest) -> dict[str, StageState]:
    return {name: entry.status for name, entry in manifest.stages.items()}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, Manifest]:
    root = tmp_path_factory.mktemp("people")
    film = film_of_people(root / "people.mkv")
    return (root / "home", film, *run(root / "home", film, run_id="whole"))


def test_two_portraits_are_two_people_for_as_long_as_they_are_shown(
    ran: tuple[Path, Path, Path, Manifest],
) -> None:
    *_, folder, manifest = ran
    assert manifest.status is RunState.SUCCESS
    people = json.loads((folder / "screentime.json").read_bytes())["people"]
    assert len(people) == 2
    for number, person in enumerate(sorted(people, key=lambda person: person["first_ms"])):
        assert abs(person["onscreen_ms"] - SHOT_MS) <= TOLERANCE_MS
        assert abs(person["first_ms"] - number * SHOT_MS) <= TOLERANCE_MS


def test_two_people_in_one_shot_are_two_people(tmp_path: Path) -> None:
    film = film_of_people(
        tmp_path / "both.mkv", shots=[picture_of_two(), picture_of_two().transpose(MIRRORED)]
    )
    folder, manifest = run(tmp_path / "home", film, settings=("ocr.enabled=false",))
    assert manifest.status is RunState.SUCCESS
    people = json.loads((folder / "screentime.json").read_bytes())["people"]
    assert [person["onscreen_ms"] for person in people] == [2 * SHOT_MS] * 2


def test_a_face_in_a_very_short_shot_is_an_identity(tmp_path: Path) -> None:
    one, _, card = portrait_shots()
    film = film_of_people(tmp_path / "short.mkv", shots=[card, one, card], shot_frames=6)
    settings = ("ocr.enabled=false", "body_tracking.enabled=false")
    folder, _ = run(tmp_path / "home", film, settings=settings)
    assert len(records(folder, "identities.jsonl")) == 1


def test_a_title_is_read_with_the_span_of_its_shot(
    ran: tuple[Path, Path, Path, Manifest],
) -> None:
    *_, folder, _ = ran
    spans = [
        (line["span_start_ms"], line["span_end_ms"])
        for line in records(folder, "ocr.jsonl")
        if line["payload"]["text"] == "GATE"
    ]
    assert spans == [(2 * SHOT_MS, 3 * SHOT_MS)]


def test_the_report_is_a_complete_pdf(ran: tuple[Path, Path, Path, Manifest]) -> None:
    *_, folder, _ = ran
    data = (folder / "exports/run_debug.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")


@pytest.mark.proof
def test_the_same_run_again_makes_the_same_bytes(
    ran: tuple[Path, Path, Path, Manifest], tmp_path: Path
) -> None:
    _, film, _, first = ran
    _, second = run(tmp_path / "home", film, run_id="whole", workers=2)
    assert [ref.sha256 for *_, ref in first.artifact_refs] == [
        ref.sha256 for *_, ref in second.artifact_refs
    ]


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def deleted(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        flip_bit,
        pytest.param(truncate, marks=pytest.mark.proof),
        pytest.param(deleted, marks=pytest.mark.proof),
    ],
)
def test_the_gate_blocks_on_any_damaged_file(
    ran: tuple[Path, Path, Path, Manifest], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    home, film, _, manifest = ran
    shutil.copytree(home, tmp_path / "home")
    runs = Runs(Settings(home=tmp_path / "home"))
    folder, _ = runs.verify("people/whole")
    for stage, _, ref in manifest.artifact_refs:
        whole = (folder / ref.path).read_bytes()
        if not whole:
            continue  # an empty file cannot be shortened
        damage(folder / ref.path)
        _, found = runs.verify("people/whole")
        blocked = found.stages[stage].blocked
        assert blocked is not None, f"{damage.__name__} {ref.path}"
        assert ref.path in {reason.path for reason in blocked.reasons}
        _, after = run(tmp_path / "home", film, run_id="whole")
        assert after.stages[stage].status is StageState.BLOCKED
        assert not (folder / ref.path).exists() or (folder / ref.path).read_bytes() != whole
        (folder / ref.path).write_bytes(whole)
    _, restored = run(tmp_path / "home", film, run_id="whole")
    assert restored.status is RunState.SUCCESS
    assert all(entry.attempt == 1 for entry in restored.stages.values())


def test_inconsistent_screen_time_edited_by_hand_is_not_adopted(
    ran: tuple[Path, Path, Path, Manifest], tmp_path: Path
) -> None:
    home, *_ = ran
    shutil.copytree(home, tmp_path / "home")
    runs = Runs(Settings(home=tmp_path / "home"))
    folder, _ = runs.verify("people/whole")
    path = folder / "screentime.json"
    whole = json.loads(path.read_bytes())
    whole["people"][0]["onscreen_ms"] += 1
    path.write_text(json.dumps(whole))
    with pytest.raises(ContractBroken, match=r"screentime\.json cannot be adopted"):
        runs.adopt("screentime", "people/whole")


@pytest.mark.proof
@pytest.mark.parametrize(
    ("off", "also_skipped"),
    [
        ("scenes", set()),
        ("detect", {"faces", "cluster", "track_fusion", "screentime", "segments"}),
        ("faces", {"cluster", "track_fusion", "screentime", "segments"}),
        ("body_tracking", {"track_fusion", "objects", "screentime", "segments"}),
        ("screentime", {"segments"}),
        ("ocr", set()),
    ],
)
def test_switching_off_a_stage_skips_only_the_stages_that_require_it(
    ran: tuple[Path, Path, Path, Manifest], tmp_path: Path, off: str, also_skipped: set[str]
) -> None:
    _, film, _, whole = ran
    _, manifest = run(tmp_path / "home", film, settings=(f"{off}.enabled=false",))
    assert manifest.status is RunState.SUCCESS
    skipped = {name for name, state in states(manifest).items() if state is StageState.SKIPPED}
    before = {name for name, state in states(whole).items() if state is StageState.SKIPPED}
    assert skipped - before == {off, *also_skipped}
    assert all(manifest.stages[name].reason for name in skipped)


def check_spans(folder: Path) -> None:
    """Check that every span of every artifact is inside the media, and not reversed."""
    end_ms = json.loads((folder / "probe.json").read_bytes())["duration_ms"]
    for path in folder.glob("*.jsonl"):
        for line in records(folder, path.name):
            if "span_start_ms" in line and "span_end_ms" in line:
                assert 0 <= line["span_start_ms"] <= line["span_end_ms"] <= end_ms, path.name


def write_black_video(path: Path, count: int, size: tuple[int, int]) -> Path:
    width, height = size
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=10)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


ODD_INPUTS: dict[str, Callable[[Path], Path]] = {
    "one frame": lambda path: write_black_video(path / "one.mkv", 1, (320, 240)),
    "all black": lambda path: write_black_video(path / "black.mkv", 20, (320, 240)),
    "tiny": lambda path: write_black_video(path / "tiny.mkv", 5, (16, 16)),
    "two pixels": lambda path: write_black_video(path / "two.mkv", 3, (2, 2)),
    "portrait": lambda path: write_black_video(path / "portrait.mkv", 5, (360, 1280)),
    "very wide": lambda path: write_black_video(path / "wide.mkv", 5, (2048, 32)),
    "8K": lambda path: write_black_video(path / "8k.mkv", 2, (7680, 4320)),
    "late start": lambda path: film_of_people(path / "late.mkv", first_pts=5_000),
    "ten bits": lambda path: film_of_people(
        path / "ten.mkv", pixel_format="yuv420p10le", codec="ffv1"
    ),
    "no picture": lambda path: write_tone(path / "hum.wav", 1.0),
    "variable rate": lambda path: write_film(
        path / "vfr.mkv", [0, 40, 500, 510, 2000], [np.zeros((64, 96, 3), np.uint8)] * 5
    ),
}


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ODD_INPUTS)
def test_unusual_inputs_succeed_with_spans_inside_their_media(tmp_path: Path, kind: str) -> None:
    folder, manifest = run(tmp_path / "home", ODD_INPUTS[kind](tmp_path))
    assert manifest.status is RunState.SUCCESS
    check_spans(folder)
    if kind in {"late start", "ten bits"}:
        people = json.loads((folder / "screentime.json").read_bytes())["people"]
        assert [abs(p["onscreen_ms"] - SHOT_MS) <= TOLERANCE_MS for p in people] == [True] * 2


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(4))
def test_a_video_with_flipped_bits_is_processed_as_far_as_possible(
    tmp_path: Path, seed: int
) -> None:
    film = film_of_people(tmp_path / "people.mkv")
    data, chance = bytearray(film.read_bytes()), random.Random(seed)
    for _ in range(20):
        data[chance.randrange(1000, len(data))] ^= 1 << chance.randrange(8)
    film.write_bytes(bytes(data))
    folder, manifest = run(tmp_path / "home", film)
    assert manifest.status is RunState.SUCCESS
    check_spans(folder)


@pytest.mark.proof
def test_a_truncated_video_is_processed_with_a_warning(tmp_path: Path) -> None:
    film = film_of_people(tmp_path / "people.mkv")
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    folder, manifest = run(tmp_path / "home", film)
    assert manifest.status is RunState.SUCCESS
    check_spans(folder)
    assert any(w["code"] == "shorter_than_claimed" for w in manifest.stages["probe"].warnings)
