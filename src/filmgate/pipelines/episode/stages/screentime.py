"""Screen time: how long everybody is on screen, and on what evidence."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.digest import digest_of
from filmgate.core.errors import Invalid
from filmgate.core.payloads.tracks import ScreentimeSegmentV1, TrackV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.people import PEOPLE, KnownPeople
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench, Timed
from filmgate.core.resources import Resource
from filmgate.core.screentime import Likeness, PersonTime, ScreenTime
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import (
    APPEARANCES,
    DETECTIONS,
    FACE_MODEL,
    IDENTITIES,
    PROBE,
    SCREENTIME,
    SCREENTIME_TABLE,
    TRACK_FUSION,
    TRACKS,
    TRANSCRIPT,
)
from filmgate.pipelines.episode.looking import shots_of
from filmgate.pipelines.episode.records import (
    Detection,
    FaceModel,
    Fusion,
    Identity,
    Probe,
    VideoFacts,
)
from filmgate.pipelines.episode.rules.presence import (
    Piece,
    appearances,
    put_together,
    total_ms,
)
from filmgate.pipelines.episode.rules.quality import frontality
from filmgate.pipelines.episode.rules.recognition import Recognised, recognise
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.stages.track_fusion import track_fusion
from filmgate.pipelines.episode.stages.transcript import transcript
from filmgate.tools.weights import weights_of

RULE_VERSION = "1"
"""Of the rules in `presence.py` and `recognition.py`; raised whenever they decide otherwise."""


class ScreentimeSettings(Settings):
    """What counts as being on screen, speaking, confessing."""

    bridge_ms: Annotated[int, Field(ge=0)] = 1000
    """Gaps up to that inside a shot are bridged, and reported as such."""
    speaking: Literal["speaker_names", "sole_face", "off"] = "speaker_names"
    """How speech is given to people: by the speakers that subtitles name, where a known person is
    called so; or, on request, to whoever is the only face seen meanwhile, which is wrong wherever
    the voice is not of the picture."""
    confessional_ms: Annotated[int, Field(ge=0)] = 5000
    """How long somebody must be alone, frontal, large and centred for it to count."""
    confessional_height: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Large: the least height of the face, of the picture's."""
    confessional_centre: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    """Centred: the greatest distance of the face's middle from the picture's, of its width."""
    confessional_frontality: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Frontal: 1 is straight on, 0 a profile."""


@dataclass(frozen=True)
class _Facts:
    """What all people of a film have in common here."""

    video: VideoFacts
    shots: Sequence[Span]
    settings: ScreentimeSettings
    identities: Sequence[Identity]
    recognised: Mapping[str, Recognised]


@stage(
    requires=[probe.name, detect.name, faces.name, cluster.name, track_fusion.name],
    uses=[scenes.name, transcript.name],
    makes=[SCREENTIME, SCREENTIME_TABLE, APPEARANCES],
    settings=ScreentimeSettings,
    aliases=["screen_time"],
    consults=[PEOPLE],
)
def screentime(bench: Bench, settings: ScreentimeSettings) -> Outcome:
    """Put all evidence together, person by person."""
    probed = bench.read_document(PROBE, Probe)
    assert probed.video is not None  # detect was skipped otherwise
    identities = list(bench.read_records(IDENTITIES, Identity))
    facts = _Facts(
        probed.video,
        shots_of(bench, probed.video),
        settings,
        identities,
        _recognised(bench, identities),
    )
    pieces = _pieces(bench, facts)
    lone_faces, confessional, unidentified_ms = _looks(bench, facts)
    speaking, speaking_by = _speaking(bench, facts, lone_faces)
    people = sorted(
        (
            _person(each, facts, pieces[each.identity_id], confessional, speaking)
            for each in identities
        ),
        key=lambda person: (-person.onscreen_ms, person.first_ms, person.identity_id),
    )
    bench.write_document(
        SCREENTIME,
        ScreenTime(
            people=tuple(people),
            duration_ms=probed.video.end_ms,
            speaking_by=speaking_by,
            unidentified_face_ms=unidentified_ms,
            thresholds_hash=digest_of(settings.model_dump(mode="json")),
        ),
    )
    _write_table(bench, people)
    bench.write_artifacts(APPEARANCES, _segments(pieces))
    return Done(
        producer=Producer(name="filmgate-screentime", version=RULE_VERSION),
        counts={
            "people": len(people),
            "known": sum(person.person_id is not None for person in people),
            "unsure": sum(bool(person.unsure) for person in people),
        },
    )


def _recognised(bench: Bench, identities: Iterable[Identity]) -> dict[str, Recognised]:
    """What the face bank says of everybody."""
    resource = bench.resource(PEOPLE)
    known = KnownPeople(people=()) if resource is None else _known(resource)
    model = bench.read_document(FACE_MODEL, FaceModel)
    return {
        each.identity_id: recognise(
            each.vector, model.producer, known, same_person=model.same_person
        )
        for each in identities
    }


def _known(resource: Resource) -> KnownPeople:
    try:
        return KnownPeople.model_validate_json(weights_of(resource))
    except ValueError as error:
        raise Invalid(
            "the known people cannot be read", expected="a snapshot of them", got=str(error)
        ) from error


def _pieces(bench: Bench, facts: _Facts) -> dict[str, list[Piece]]:
    """Where everybody is, by identity."""
    who = {track: each.identity_id for each in facts.identities for track in each.track_ids}
    evidence: dict[str, list[Piece]] = {each.identity_id: [] for each in facts.identities}
    seen = _seen(bench, who)
    for line in bench.read_artifacts(TRACKS):
        track = TrackV1.model_validate(line.payload)
        if (identity := who.get(track.track_id)) is None:
            continue
        life = Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        evidence[identity] += [
            _piece(seen[track.track_id], "face", track.track_id, track.confidence),
            _piece(life, "body", track.track_id, None),
        ]
    for fusion in bench.read_records(TRACK_FUSION, Fusion):
        if fusion.cluster_id is not None:
            life = Span(start_ms=fusion.span_start_ms, end_ms=fusion.span_end_ms)
            evidence[fusion.cluster_id].append(_piece(life, "body", fusion.body_track_id, None))
    return {
        identity: put_together(pieces, facts.shots, facts.settings.bridge_ms)
        for identity, pieces in evidence.items()
    }


def _piece(
    span: Span, evidence: Literal["face", "body"], track_id: str, confidence: float | None
) -> Piece:
    return Piece(span=span, evidence=evidence, track_id=track_id, confidence=confidence)


def _seen(bench: Bench, tracks: Mapping[str, str]) -> dict[str, Span]:
    """From the first to the last detection of each of these tracks."""
    seen: dict[str, Span] = {}
    for each in bench.read_records(DETECTIONS, Detection):
        if each.track_id is None or each.track_id not in tracks:
            continue
        if each.confidence is not None:
            start = seen[each.track_id].start_ms if each.track_id in seen else each.span_start_ms
            seen[each.track_id] = Span(start_ms=start, end_ms=each.span_end_ms)
    return seen


def _looks(bench: Bench, facts: _Facts) -> tuple[dict[str, list[Span]], dict[str, int], int]:
    """Look by look: when each is the only face, their confessional time, and for how long faces
    of nobody are seen."""
    who = {track: each.identity_id for each in facts.identities for track in each.track_ids}
    alone: dict[str, list[Span]] = {}
    staged: dict[str, list[Span]] = {}
    unidentified = 0
    tracked = (each for each in bench.read_records(DETECTIONS, Detection) if each.track_id)
    for _, group in groupby(tracked, key=lambda each: each.span_start_ms):
        look = list(group)
        span = Span(start_ms=look[0].span_start_ms, end_ms=look[0].span_end_ms)
        unidentified += span.duration_ms * any(each.track_id not in who for each in look)
        if len(look) == 1 and (identity := who.get(look[0].track_id or "")) is not None:
            _extend(alone.setdefault(identity, []), span)
            if _is_staged(look[0], facts):
                _extend(staged.setdefault(identity, []), span)
    least = facts.settings.confessional_ms
    lasting = {
        identity: sum(each.duration_ms for each in spans if each.duration_ms >= least)
        for identity, spans in staged.items()
    }
    return alone, lasting, unidentified


def _extend(spans: list[Span], span: Span) -> None:
    """Add a span; one that adjoins the last makes that longer."""
    if spans and spans[-1].end_ms == span.start_ms:
        span = Span(start_ms=spans.pop().start_ms, end_ms=span.end_ms)
    spans.append(span)


def _is_staged(face: Detection, facts: _Facts) -> bool:
    """Whether a face is large, centred and, where that was seen, frontal."""
    box, settings = face.bounding_box, facts.settings
    middle = (box.x + box.width / 2) / facts.video.display_width
    return (
        box.height >= settings.confessional_height * facts.video.display_height
        and abs(middle - 0.5) <= settings.confessional_centre
        and frontality(face.landmarks) >= settings.confessional_frontality
    )


def _speaking(
    bench: Bench, facts: _Facts, alone: Mapping[str, Sequence[Span]]
) -> tuple[dict[str, int], Literal["speaker names", "sole face"] | None]:
    """For how long each speaks, as far as that can be told, and how it was told."""
    if facts.settings.speaking == "off" or not bench.has(TRANSCRIPT):
        return {}, None
    lines = [
        (
            Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms),
            TranscriptSegmentV1.model_validate(line.payload).speaker,
        )
        for line in bench.read_artifacts(TRANSCRIPT)
    ]
    if facts.settings.speaking == "sole_face":
        spoken = [span for span, _ in lines]
        return {
            each.identity_id: _common_ms(spoken, alone.get(each.identity_id, ()))
            for each in facts.identities
        }, "sole face"
    names = {
        each.identity_id: person.name.casefold()
        for each in facts.identities
        if (person := facts.recognised[each.identity_id].person) is not None
    }
    speakers = {speaker.casefold() for _, speaker in lines if speaker is not None}
    if not speakers & set(names.values()):
        return {}, None
    return {
        identity: sum(
            span.duration_ms
            for span, speaker in lines
            if speaker is not None and speaker.casefold() == name
        )
        for identity, name in names.items()
    }, "speaker names"


def _common_ms(spoken: Sequence[Span], seen: Sequence[Span]) -> int:
    """How long spans of both are together."""
    return sum(
        max(0, min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms))
        for one in spoken
        for other in seen
    )


def _person(
    identity: Identity,
    facts: _Facts,
    pieces: Sequence[Piece],
    confessional: Mapping[str, int],
    speaking: Mapping[str, int],
) -> PersonTime:
    found = facts.recognised[identity.identity_id]
    onscreen_ms = total_ms(pieces)
    return PersonTime(
        identity_id=identity.identity_id,
        person_id=found.person.person_id if found.person else None,
        name=found.person.name if found.person else None,
        unsure=tuple(
            Likeness(person_id=person.person_id, name=person.name, distance=distance)
            for person, distance in found.unsure
        ),
        onscreen_ms=onscreen_ms,
        face_visible_ms=total_ms(pieces, "face"),
        body_only_ms=total_ms(pieces, "body"),
        gap_bridged_ms=total_ms(pieces, "bridged"),
        speaking_ms=speaking.get(identity.identity_id),
        confessional_ms=confessional.get(identity.identity_id, 0),
        first_ms=pieces[0].span.start_ms,
        last_ms=pieces[-1].span.end_ms,
        appearances=appearances(pieces),
        share=round(min(1.0, onscreen_ms / facts.video.end_ms), 4) if facts.video.end_ms else 0.0,
        is_singleton=identity.is_singleton,
    )


def _segments(pieces: Mapping[str, Sequence[Piece]]) -> Iterator[Timed]:
    """Every piece of everybody, in order of time."""
    timed = (
        Timed(
            piece.span.start_ms,
            piece.span.end_ms,
            ScreentimeSegmentV1(
                cluster_id=identity,
                evidence=piece.evidence,
                track_id=piece.track_id,
                confidence=piece.confidence,
            ),
        )
        for identity, own in pieces.items()
        for piece in own
    )
    yield from sorted(timed, key=lambda each: each.place)


def _write_table(bench: Bench, people: Sequence[PersonTime]) -> None:
    """The same numbers for a spreadsheet: a person a line; what was not measured is empty."""
    columns = [name for name in PersonTime.model_fields if name != "unsure"]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    for person in people:
        row = person.model_dump(mode="json", exclude={"unsure"})
        table.writerow({name: _harmless(value) for name, value in row.items()})
    with bench.create(SCREENTIME_TABLE) as file:
        file.write(text.getvalue().encode())


def _harmless(value: object) -> object:
    """A text that no spreadsheet takes for a formula."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value
