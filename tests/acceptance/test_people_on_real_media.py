"""The whole episode pipeline on clips whose truth is known; skipped if they are missing."""

import csv
import json
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from filmgate.media.boxes import Box
from filmgate.pipelines.episode.rules.tracking import match_boxes
from support.command import Filmgate
from support.shared import shared_folder

pytestmark = pytest.mark.proof

TENTH = 0.1
TIME_TOLERANCE_MS = 100
MIN_IOU = 0.3


class FinishedRun:
    """A finished run with its files."""

    def __init__(self, filmgate: Filmgate, video: Path, *arguments: str) -> None:
        self.filmgate = filmgate
        self.manifest = filmgate.json("run", "episode", video, "--jobs", "2", *arguments)
        self.folder = filmgate.folder(self.manifest)

    def document(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        return document

    def records(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    @property
    def onscreen_ms(self) -> list[int]:
        return [person["onscreen_ms"] for person in self.document("screentime.json")["people"]]


@pytest.fixture(scope="module")
def run_clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a clip, once per module."""
    root = tmp_path_factory.mktemp("people")
    return cache(
        lambda video, *arguments: FinishedRun(
            Filmgate(root / Path(video).stem, is_light=False), video, *arguments
        )
    )


@pytest.fixture(scope="module")
def talk(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedRun]:
    """The run of a clip with three people who talk; stages that are up to date are reused."""
    with shared_folder(tmp_path_factory, "talk") as folder:
        filmgate = Filmgate(folder / "home", is_light=False)
        ran = FinishedRun(filmgate, test_data / "faces/talk_dev_3people.mp4", "--run-id", "talk")
    yield ran
    filmgate("db", "stop")


def test_every_stage_succeeds_or_has_a_reason_for_being_skipped(talk: FinishedRun) -> None:
    assert talk.manifest["status"] == "SUCCESS"
    for name, entry in talk.manifest["stages"].items():
        assert entry["status"] == "SUCCESS" or (
            name == "places" and "models list" in entry["reason"]
        )


def test_three_people_have_the_true_screen_times(talk: FinishedRun, test_data: Path) -> None:
    truth = json.loads((test_data / "faces/talk_dev_3people.gt.json").read_bytes())
    seconds: dict[str, float] = {}
    for shot in truth["shots"]:
        for who in shot["people"]:
            seconds[who] = seconds.get(who, 0) + shot["end_s"] - shot["start_s"]
    expected = sorted((1000 * second for second in seconds.values()), reverse=True)
    assert len(talk.onscreen_ms) == len(expected) == 3  # the printed skull is not a person
    for measured, true in zip(talk.onscreen_ms, expected, strict=True):
        assert abs(measured - true) <= TENTH * true


def test_the_rows_of_the_table_add_up_to_the_totals(talk: FinishedRun) -> None:
    rows = pq.read_table(talk.folder / "exports/segments.parquet").to_pylist()
    order = [(row["identity"], row["track_id"], row["segment_start"]) for row in rows]
    assert order == sorted(order)
    for person in talk.document("screentime.json")["people"]:
        own = [row for row in rows if row["identity_id"] == person["identity_id"]]
        total = sum(row["duration_s"] for row in own)
        assert abs(total * 1000 - person["onscreen_ms"]) <= 1
    assert {row["run_id"] for row in rows} == {talk.manifest["run_id"]}


def test_the_results_can_be_queried_on_the_command_line(talk: FinishedRun) -> None:
    filmgate, asset = talk.filmgate, "talk_dev_3people"
    face = filmgate.json("jump", asset, "--kind", "face", "--cluster", "c2")["artifact"]
    assert face["payload"]["cluster_id"] == "c2"
    person = filmgate.json("jump", asset, "--kind", "person", "--cluster", "c3")["artifact"]
    assert person["artifact_type"] == "screentime.segment"
    assert filmgate.json("find", asset, "country")["hits"]
    times = filmgate.json("screentime", asset)["people"]
    assert [person["onscreen_ms"] for person in times] == talk.onscreen_ms


@pytest.mark.nightly
def test_a_variable_rate_gives_the_same_screen_times(
    talk: FinishedRun, test_data: Path, run_clip: Any
) -> None:
    uneven = run_clip(test_data / "odd/vfr_talk.mp4", "--no-ingest")
    assert len(uneven.onscreen_ms) == len(talk.onscreen_ms)
    for one, other in zip(talk.onscreen_ms, uneven.onscreen_ms, strict=True):
        assert abs(one - other) <= TIME_TOLERANCE_MS


def test_a_named_person_is_recognised_in_the_next_video(
    talk: FinishedRun, test_data: Path, tmp_path: Path
) -> None:
    talk.filmgate.json("people", "name", "c1", "Lisa", "--in", "talk_dev_3people")
    assert talk.filmgate.json("screentime", "talk_dev_3people")["people"][0]["name"] == "Lisa"
    turned = FinishedRun(talk.filmgate, test_data / "odd/rotated_meta90.mp4")
    people = turned.document("screentime.json")["people"]
    assert [person["name"] for person in people] == ["Lisa", None]
    (row,) = [
        person
        for person in talk.filmgate.json("screentime", "rotated_meta90")["people"]
        if person["person_id"]
    ]
    assert (row["person_id"], row["is_named"]) == ("lisa", False)


@pytest.mark.nightly
def test_cars_are_not_people(test_data: Path, run_clip: Any) -> None:
    cars = run_clip(test_data / "people/car-detection.mp4", "--no-ingest")
    assert cars.manifest["status"] == "SUCCESS"
    assert cars.onscreen_ms == []
    assert cars.records("body_tracks.jsonl") == []
    assert cars.records("transcript.jsonl") == []


def people_in(frame: int) -> int:
    """Return the true number of people in a frame of vtest.avi, up to frame 68."""
    return next(count for last, count in ((15, 3), (20, 4), (39, 5), (68, 6)) if frame <= last)


@pytest.mark.nightly
def test_bodies_on_a_street_are_counted_within_one(test_data: Path, run_clip: Any) -> None:
    street = run_clip(test_data / "people/vtest.avi", "--no-ingest", "--set", "ocr.enabled=false")
    assert street.onscreen_ms == []  # a body without a face is not an identity
    bodies = street.records("body_tracks.jsonl")
    seen: dict[int, list[Box]] = {}
    for frame in range(69):
        for body in bodies:
            if body["span_start_ms"] <= frame * 100 < body["span_end_ms"]:
                box = body["payload"]["bounding_box"]
                seen.setdefault(frame, []).append(Box(**box))
    near = [abs(len(seen.get(frame, [])) - people_in(frame)) <= 1 for frame in range(69)]
    assert sum(near) >= 0.8 * len(near)
    right = found = true = 0
    with (test_data / "people/vtest.gt_sparse.csv").open() as file:
        truth: dict[int, list[Box]] = {}
        for row in csv.DictReader(file):
            box = Box(*(float(row[name]) for name in ("x", "y", "w", "h")))
            truth.setdefault(int(row["frame_1based"]) - 1, []).append(box)
    for frame, boxes in truth.items():
        here = seen.get(frame, [])
        right += len(match_boxes(boxes, here, MIN_IOU))
        found, true = found + len(here), true + len(boxes)
    print(f"bodies of vtest: recall {right / true:.2f}, precision {right / found:.2f}")  # noqa: T201
    assert right >= 0.5 * true


@pytest.mark.nightly
def test_every_number_of_a_counter_is_read(test_data: Path, run_clip: Any) -> None:
    counter = run_clip(test_data / "text/counter.mp4", "--no-ingest")
    texts = counter.records("ocr.jsonl")
    read = {
        number
        for number in range(1, 31)
        for line in texts
        if line["payload"]["text"].replace(" ", "") == f"Frame={number}"
        and line["span_start_ms"] == (number - 1) * 100
    }
    assert len(read) >= 27, sorted(set(range(1, 31)) - read)


def test_each_channel_has_its_own_speaker(test_data: Path, run_clip: Any) -> None:
    talkers = run_clip(test_data / "speech/stereo_diarization.wav", "--no-ingest")
    segments = [line["payload"] for line in talkers.records("transcript.jsonl")]
    said = {
        side: " ".join(s["text"] for s in segments if s["speaker"] == side)
        for side in ("left", "right")
    }
    assert "wizard" in said["left"] or "curtain" in said["left"]
    assert "extremely" in said["right"]
    assert "extremely" not in said["left"]


@pytest.mark.nightly
def test_half_of_the_words_of_a_known_speech_are_recognised(test_data: Path, run_clip: Any) -> None:
    speech = run_clip(test_data / "speech/jfk.wav", "--no-ingest")
    recognised = " ".join(s["payload"]["text"] for s in speech.records("transcript.jsonl"))
    said = [
        "and",
        "so",
        "my",
        "fellow",
        "americans",
        "ask",
        "not",
        "what",
        "your",
        "country",
        "can",
        "do",
        "for",
        "you",
        "ask",
        "what",
        "you",
        "can",
        "do",
        "for",
        "your",
        "country",
    ]
    blocks = SequenceMatcher(None, recognised.split(), said, autojunk=False).get_matching_blocks()
    accuracy = sum(block.size for block in blocks) / len(said)
    print(f"recognised words of the speech: {accuracy:.0%}")  # noqa: T201
    assert accuracy >= 0.5
