"""PDF: the run on paper, to be shown and filed."""

import zipfile
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from filmgate.core.payloads.ocr import OcrTextV1
from filmgate.core.payloads.place import PlaceClassificationV1
from filmgate.core.payloads.tracks import ScreentimeSegmentV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.records import StageRecord
from filmgate.core.screentime import ScreenTime
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import (
    APPEARANCES,
    FACE_CROPS,
    OCR,
    PLACES,
    PROBE,
    REPORT,
    SCENES,
    SCREENTIME,
    TRANSCRIPT,
)
from filmgate.pipelines.episode.identified import identities_of
from filmgate.pipelines.episode.records import Identity, Probe
from filmgate.pipelines.episode.report import contents
from filmgate.pipelines.episode.report.advice import advise
from filmgate.pipelines.episode.rules.presence import Piece
from filmgate.pipelines.episode.stages.body_tracking import body_tracking
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.objects import objects
from filmgate.pipelines.episode.stages.ocr import ocr
from filmgate.pipelines.episode.stages.places import places
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.stages.screentime import screentime
from filmgate.pipelines.episode.stages.segments import segments
from filmgate.pipelines.episode.stages.track_fusion import track_fusion
from filmgate.pipelines.episode.stages.transcript import transcript
from filmgate.tools.typesetting import typeset

NAME = "pdf"
LAYOUT_VERSION = 1
"""Of the template; raised whenever it looks otherwise."""

REPORTED = (
    scenes,
    detect,
    faces,
    cluster,
    body_tracking,
    track_fusion,
    transcript,
    objects,
    places,
    ocr,
    screentime,
    segments,
)
MOST_PEOPLE = 60
"""Of those longest on screen; `screentime.csv` has all."""

LARGEST_PICTURE = 1 << 20
"""Bytes of a crop; they are some 40,000."""


@stage(
    requires=[probe.name],
    uses=[each.name for each in REPORTED],
    makes=[REPORT],
    aliases=["pdf_export"],
    tools=["typst"],
    tells=True,
    version=LAYOUT_VERSION,
)
def pdf(bench: Bench, settings: Settings) -> Outcome:  # noqa: ARG001 - nothing to set
    """Set what the other stages found, and how they went, on pages."""
    records = _records(bench)
    facts = bench.read_document(PROBE, Probe)
    identities = identities_of(bench)
    times = bench.read_document(SCREENTIME, ScreenTime) if bench.has(SCREENTIME) else None
    shown = times.people[:MOST_PEOPLE] if times else ()
    told = {each.identity_id for each in shown}
    pictures = _pictures(bench, [each for each in identities if each.identity_id in told])
    data = {
        "title": bench.head.asset.id,
        "asset_id": bench.head.asset.id,
        "subtitle": f"run {bench.head.run_id}, profile {bench.head.profile}",
        "duration": contents.clock(facts.video.end_ms if facts.video else facts.duration_ms),
        "headline": _headline(facts, records, times),
        "stages": contents.stage_rows(bench.head, records, NAME),
        "advice": advise(records, identities, times),
        "people": _people(bench, facts, times, pictures),
        "people_notes": _people_notes(times),
        **_scenes(bench, facts),
        "listings": [each for each in _listings(bench) if each is not None],
        "inputs": contents.inputs(bench.head, facts),
        "files": contents.file_rows(records.values()),
    }
    template = files("filmgate.pipelines.episode.report").joinpath("report.typ").read_bytes()
    page = typeset(template, data, dict(pictures.values()))
    with bench.create(REPORT) as file:
        file.write(page)
    return Done(producer=Producer(name="filmgate-report", version=str(LAYOUT_VERSION)))


def _records(bench: Bench) -> dict[str, StageRecord]:
    """How the stages before this one ended, in their order."""
    names = [probe.name, *(each.name for each in REPORTED)]
    return {name: record for name in names if (record := bench.record(name)) is not None}


def _headline(
    facts: Probe, records: dict[str, StageRecord], times: ScreenTime | None
) -> list[dict[str, str]]:
    """The numbers that one looks for first."""
    told = [("duration", contents.clock(facts.duration_ms))]
    if times is not None:
        told.append(("people", str(len(times.people))))
    for stage_name, count, label in (
        ("scenes", "scenes", "scenes"),
        ("transcript", "words", "words said"),
        ("ocr", "texts", "texts on screen"),
        ("objects", "objects", "objects seen"),
    ):
        record = records.get(stage_name)
        if record is not None and count in record.counts:
            told.append((label, f"{record.counts[count]:,}"))
    return [{"label": label, "value": value} for label, value in told]


def _pictures(bench: Bench, identities: list[Identity]) -> dict[str, tuple[str, bytes]]:
    """By identity: a file name for their picture, and its bytes."""
    if not identities or not bench.has(FACE_CROPS):
        return {}
    found = {}
    with zipfile.ZipFile(bench.path(FACE_CROPS)) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
        for number, each in enumerate(identities):
            if sizes.get(each.picture, LARGEST_PICTURE) < LARGEST_PICTURE:
                found[each.identity_id] = (f"face{number}.png", archive.read(each.picture))
    return found


def _people(
    bench: Bench,
    facts: Probe,
    times: ScreenTime | None,
    pictures: dict[str, tuple[str, bytes]],
) -> list[dict[str, Any]]:
    if times is None or facts.video is None:
        return []
    end_ms = facts.video.end_ms
    pieces: dict[str, list[Piece]] = {}
    for line in bench.read_artifacts(APPEARANCES):
        payload = ScreentimeSegmentV1.model_validate(line.payload)
        pieces.setdefault(payload.cluster_id, []).append(
            Piece(
                span=Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms),
                evidence=payload.evidence,
                track_id=payload.track_id,
                confidence=payload.confidence,
            )
        )
    names = {identity: name for identity, (name, _) in pictures.items()}
    return contents.person_rows(times, end_ms, pieces, names)[:MOST_PEOPLE]


def _people_notes(times: ScreenTime | None) -> list[str]:
    if times is None:
        return []
    how = {
        "speaker names": "Speaking: while subtitles name the person as the speaker.",
        "sole face": "Speaking: while words are said and the person's face is the only one seen.",
        None: "Speaking was not measured: nothing tells who speaks.",
    }
    left = len(times.people) - MOST_PEOPLE
    return [
        *([f"And {left} more, in screentime.csv."] if left > 0 else []),
        "On screen = face seen + body only + bridged gaps; no moment counts twice.",
        how[times.speaking_by],
    ]


def _scenes(bench: Bench, facts: Probe) -> dict[str, Any]:
    if not bench.has(SCENES) or facts.video is None:
        return {"scenes": [], "scenes_note": ""}
    spans = [
        Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        for line in bench.read_artifacts(SCENES)
    ]
    mean = sum(span.duration_ms for span in spans) // len(spans)
    return {
        "scenes": [contents.part(span, facts.video.end_ms) for span in spans],
        "scenes_note": f"{len(spans)} scenes, {contents.clock(mean)} long on average.",
    }


def _listings(bench: Bench) -> Iterator[dict[str, Any] | None]:
    """What was said, read and recognised, from its beginning."""
    if bench.has(TRANSCRIPT):
        said = [
            (line.span_start_ms, TranscriptSegmentV1.model_validate(line.payload))
            for line in bench.read_artifacts(TRANSCRIPT)
        ]
        yield contents.listing(
            "What is said", ((ms, each.text, each.speaker or "") for ms, each in said)
        )
    if bench.has(OCR):
        read = [
            (line, OcrTextV1.model_validate(line.payload)) for line in bench.read_artifacts(OCR)
        ]
        yield contents.listing(
            "What stands in the picture",
            (
                (line.span_start_ms, each.text, f"until {contents.clock(line.span_end_ms)}")
                for line, each in read
            ),
        )
    if bench.has(PLACES):
        set_in = [
            (line.span_start_ms, PlaceClassificationV1.model_validate(line.payload))
            for line in bench.read_artifacts(PLACES)
        ]
        yield contents.listing(
            "Where it is set",
            ((ms, each.label, f"{each.confidence or 0:.0%}") for ms, each in set_in),
        )
