"""Real clips whose truth is known; skipped if the clips are missing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.command import WITHOUT_SLOW_STAGES

TIME_TOLERANCE_MS = 40
FRAME_TOLERANCE = 1

CUTS = {
    "scenes/testvideo.mp4": [30, 180, 394],
    "faces/talk_dev_3people.mp4": [77, 186, 251, 302, 363, 414],
    "scenes/big_buck_bunny_0_30.webm": [283, 376, 551],
    "people/car-detection.mp4": [],
    "people/vtest.avi": [],
    "faces/chaplin.mp4": [],
    "scenes/fades.mp4": [],
    "odd/rotated_meta90.mp4": [77, 186],
    "game/mt_day_gameplay.mp4": [],
}


QUICK_CLIPS = {"people/car-detection.mp4"}
"""Clips that `make test` uses; the others are used by `make proof`."""

LONG_CLIPS = {"game/mt_day_gameplay.mp4"}
"""Clips that only `make nightly` uses."""


def marks_of(clip: str) -> pytest.MarkDecorator | tuple[()]:
    if clip in LONG_CLIPS:
        return pytest.mark.nightly
    return () if clip in QUICK_CLIPS else pytest.mark.proof


def run(home: Path, video: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "filmgate", "run", "episode", str(video), *arguments]
    return subprocess.run(
        command,
        env={"FILMGATE_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def artifacts(home: Path, name: str) -> list[dict[str, Any]]:
    (path,) = home.glob(f"manifests/*/runs/*/{name}")
    return [json.loads(line) for line in path.read_text().splitlines()]


def find_cuts(home: Path, video: Path) -> list[dict[str, Any]]:
    done = run(home, video, "--stages", "probe,scenes", "--no-ingest")
    assert done.returncode == 0, done.stderr
    return artifacts(home, "scenes.jsonl")[1:]


@pytest.mark.parametrize(
    "clip",
    [pytest.param(clip, marks=marks_of(clip)) for clip in CUTS],
)
def test_exactly_the_known_cuts_are_found(test_data: Path, tmp_path: Path, clip: str) -> None:
    found = [scene["payload"]["frame_number"] for scene in find_cuts(tmp_path, test_data / clip)]
    assert len(found) == len(CUTS[clip]), found
    assert all(abs(a - b) <= FRAME_TOLERANCE for a, b in zip(found, CUTS[clip], strict=True))


@pytest.mark.nightly
def test_variable_frame_rate_gives_the_same_cut_times(test_data: Path, tmp_path: Path) -> None:
    even = find_cuts(tmp_path / "even", test_data / "faces/talk_dev_3people.mp4")
    uneven = find_cuts(tmp_path / "uneven", test_data / "odd/vfr_talk.mp4")
    assert len(even) == len(uneven) == 6
    for one, other in zip(even, uneven, strict=True):
        assert abs(one["span_start_ms"] - other["span_start_ms"]) <= TIME_TOLERANCE_MS
    (probe,) = (tmp_path / "uneven").glob("manifests/*/runs/*/probe.json")
    assert json.loads(probe.read_bytes())["video"]["time_base"]["is_variable_rate"]


@pytest.mark.proof
def test_a_rotated_video_has_its_displayed_size(test_data: Path, tmp_path: Path) -> None:
    find_cuts(tmp_path, test_data / "odd/rotated_meta90.mp4")
    (path,) = tmp_path.glob("manifests/*/runs/*/probe.json")
    video = json.loads(path.read_bytes())["video"]
    assert (video["stored_width"], video["stored_height"]) == (480, 640)
    assert (video["display_width"], video["display_height"]) == (640, 480)
    assert video["rotation_deg"] == 90


@pytest.mark.parametrize("clip", ["empty.mp4", "text_renamed.mp4", "trunc_no_moov_60pct.mp4"])
def test_a_broken_file_is_an_input_error_and_leaves_no_files(
    test_data: Path, tmp_path: Path, clip: str
) -> None:
    done = run(tmp_path, test_data / "broken" / clip)
    assert done.returncode == 4
    assert "expected:" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.proof
def test_a_word_of_a_known_speech_is_recognised_inside_the_media(
    test_data: Path, tmp_path: Path
) -> None:
    done = run(tmp_path, test_data / "speech/jfk.wav", *WITHOUT_SLOW_STAGES, "--no-ingest")
    assert done.returncode == 0, done.stderr
    segments = artifacts(tmp_path, "transcript.jsonl")
    said = " ".join(segment["payload"]["text"] for segment in segments).split()
    assert "country" in said
    assert all(0 <= s["span_start_ms"] < s["span_end_ms"] <= 11_000 for s in segments)


@pytest.mark.proof
def test_digital_silence_yields_no_words(test_data: Path, tmp_path: Path) -> None:
    done = run(
        tmp_path, test_data / "people/car-detection.mp4", *WITHOUT_SLOW_STAGES, "--no-ingest"
    )
    assert done.returncode == 0, done.stderr
    assert artifacts(tmp_path, "transcript.jsonl") == []
