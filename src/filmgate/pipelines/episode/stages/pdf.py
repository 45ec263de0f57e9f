"""PDF: writes the report of the run."""

import zipfile
from collections.abc import Iterable, Iterator
from importlib.resources import files

from pydantic import JsonValue

from filmgate.core.payloads.ocr import OcrTextV1
from filmgate.core.payloads.place import PlaceClassificationV1
from filmgate.core.payloads.tracks import ScreentimeSegmentV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, Stage, stage
from filmgate.core.ports import StageContext
from filmgate.core.records import StageRecord
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
from filmgate.pipelines.episode.identities import read_identities
from filmgate.pipelines.episode.records import Identity, Probe
from filmgate.pipelines.episode.report import contents
from filmgate.pipelines.episode.report.advice import advise
from filmgate.pipelines.episode.rules.screen_presence import PresenceSpan
from filmgate.pipelines.episode.screen_times import ScreenTime
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.tools.typesetting import typeset

NAME = "pdf"
LAYOUT_VERSION = 2
"""Version of the template; increased whenever its layout changes."""

MAX_PEOPLE = 60
"""Maximum number of people in the report: those who are longest on screen. `screentime.csv`
contains all."""

MAX_PICTURE_BYTES = 1 << 20
"""Size in bytes from which a face crop is left out of the report; usual crops have about 40,000."""


def report_on(stages: Iterable[Stage]) -> Stage:
    """Declare the stage that reports on `stages`: all of the plan, besides `probe`."""
    return stage(
        requires=[probe.name],
        uses=[reported.name for reported in stages],
        makes=[REPORT],
        aliases=["pdf_export"],
        tools=["typst"],
        reads_upstream_records=True,
        version=LAYOUT_VERSION,
    )(pdf)


def pdf(context: StageContext, settings: Settings) -> Outcome:  # noqa: ARG001 - no settings
    """Typeset the results and outcomes of the other stages as a PDF."""
    records = _records(context)
    facts = context.read_document(PROBE, Probe)
    identities = read_identities(context)
    times = context.read_document(SCREENTIME, ScreenTime) if context.has(SCREENTIME) else None
    shown = times.people[:MAX_PEOPLE] if times else ()
    shown_ids = {person.identity_id for person in shown}
    pictures = _pictures(context, [one for one in identities if one.identity_id in shown_ids])
    data = {
        "title": context.head.asset.id,
        "asset_id": context.head.asset.id,
        "subtitle": f"run {context.head.run_id}, profile {context.head.profile}",
        "duration": contents.format_time(facts.video.end_ms if facts.video else facts.duration_ms),
        "headline": _headline(facts, records, times),
        "stages": contents.stage_rows(context.head, records, NAME),
        "advice": advise(records, identities, times),
        "people": _people(context, facts, times, pictures),
        "people_notes": _people_notes(times),
        **_scenes(context, facts),
        "listings": [listing for listing in _listings(context) if listing is not None],
        "inputs": contents.input_rows(context.head, facts),
        "files": contents.file_rows(records.values()),
    }
    template = files("filmgate.pipelines.episode.report").joinpath("report.typ").read_bytes()
    page = typeset(template, data, dict(pictures.values()))
    with context.create(REPORT) as file:
        file.write(page)
    return Done(producer=Producer(name="filmgate-report", version=str(LAYOUT_VERSION)))


def _records(context: StageContext) -> dict[str, StageRecord]:
    """Read the records of the stages before this one, in the order of the plan."""
    found = {name: context.record(name) for name in context.head.stages}
    return {name: record for name, record in found.items() if record is not None}


def _headline(
    facts: Probe, records: dict[str, StageRecord], times: ScreenTime | None
) -> list[dict[str, str]]:
    """Collect the most important numbers."""
    numbers = [("duration", contents.format_time(facts.duration_ms))]
    if times is not None:
        numbers.append(("people", str(len(times.people))))
    for stage_name, count, label in (
        ("scenes", "scenes", "scenes"),
        ("transcript", "words", "words spoken"),
        ("ocr", "texts", "texts on screen"),
        ("objects", "objects", "objects detected"),
    ):
        record = records.get(stage_name)
        if record is not None and count in record.counts:
            numbers.append((label, f"{record.counts[count]:,}"))
    return [{"label": label, "value": value} for label, value in numbers]


def _pictures(context: StageContext, identities: list[Identity]) -> dict[str, tuple[str, bytes]]:
    """Read the picture of each identity: (file name, bytes), by identity."""
    if not identities or not context.has(FACE_CROPS):
        return {}
    found = {}
    with zipfile.ZipFile(context.path(FACE_CROPS)) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        for number, identity in enumerate(identities):
            if sizes.get(identity.picture, MAX_PICTURE_BYTES) < MAX_PICTURE_BYTES:
                picture = archive.read(identity.picture)
                found[identity.identity_id] = (f"face{number}.png", picture)
    return found


def _people(
    context: StageContext,
    facts: Probe,
    times: ScreenTime | None,
    pictures: dict[str, tuple[str, bytes]],
) -> list[dict[str, JsonValue]]:
    if times is None or facts.video is None:
        return []
    end_ms = facts.video.end_ms
    presences: dict[str, list[PresenceSpan]] = {}
    for line in context.read_artifacts(APPEARANCES):
        payload = ScreentimeSegmentV1.model_validate(line.payload)
        presences.setdefault(payload.cluster_id, []).append(
            PresenceSpan(
                span=Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms),
                evidence=payload.evidence,
                track_id=payload.track_id,
                confidence=payload.confidence,
            )
        )
    names = {identity: name for identity, (name, _) in pictures.items()}
    return contents.person_rows(times, end_ms, presences, names)[:MAX_PEOPLE]


def _people_notes(times: ScreenTime | None) -> list[str]:
    if times is None:
        return []
    speaking_notes = {
        "speaker names": "Speaking: while subtitles name the person as the speaker.",
        "sole face": "Speaking: while words are spoken and the person's face is the only one "
        "visible.",
        None: "Speaking was not measured: the speakers are unknown.",
    }
    remaining = len(times.people) - MAX_PEOPLE
    return [
        *([f"And {remaining} more, in screentime.csv."] if remaining > 0 else []),
        "On screen = face visible + body only + bridged gaps; no moment counts twice.",
        speaking_notes[times.speaking_by],
    ]


def _scenes(context: StageContext, facts: Probe) -> dict[str, JsonValue]:
    if not context.has(SCENES) or facts.video is None:
        return {"scenes": [], "scenes_note": ""}
    spans = [
        Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        for line in context.read_artifacts(SCENES)
    ]
    mean = sum(span.duration_ms for span in spans) // len(spans)
    return {
        "scenes": [contents.to_share(span, facts.video.end_ms) for span in spans],
        "scenes_note": f"{len(spans)} scenes, {contents.format_time(mean)} long on average.",
    }


def _listings(context: StageContext) -> Iterator[dict[str, JsonValue] | None]:
    """Yield the listings of spoken words, texts on screen and places."""
    if context.has(TRANSCRIPT):
        spoken = [
            (line.span_start_ms, TranscriptSegmentV1.model_validate(line.payload))
            for line in context.read_artifacts(TRANSCRIPT)
        ]
        yield contents.make_listing(
            "Spoken words",
            ((ms, segment.text, segment.speaker or "") for ms, segment in spoken),
        )
    if context.has(OCR):
        texts = [
            (line, OcrTextV1.model_validate(line.payload)) for line in context.read_artifacts(OCR)
        ]
        yield contents.make_listing(
            "Text on screen",
            (
                (line.span_start_ms, text.text, f"until {contents.format_time(line.span_end_ms)}")
                for line, text in texts
            ),
        )
    if context.has(PLACES):
        places_shown = [
            (line.span_start_ms, PlaceClassificationV1.model_validate(line.payload))
            for line in context.read_artifacts(PLACES)
        ]
        yield contents.make_listing(
            "Places",
            ((ms, place.label, f"{place.confidence or 0:.0%}") for ms, place in places_shown),
        )
