"""Screen time: how long everybody is on screen, and on what evidence."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Literal, NamedTuple

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
    FACE_MODEL,
    PROBE,
    SCREENTIME,
    SCREENTIME_TABLE,
    TRACK_FUSION,
    TRACKS,
    TRANSCRIPT,
)
from filmgate.pipelines.episode.identified import (
    faces_seen,
    identities_of,
    owners,
    tracked,
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
    common_ms,
    joined,
    put_together,
    total_ms,
)
from filmgate.pipelines.episode.rules.quality import frontality
from filmgate.pipelines.episode.rules.recognition import Recognised, recognise, told_apart
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.stages.track_fusion import track_fusion
from filmgate.pipelines.episode.stages.transcript import transcript

RULE_VERSION = 1
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
class _Film:
    """What all people of a film have in common here."""

    video: VideoFacts
    shots: Sequence[Span]
    settings: ScreentimeSettings
    identities: Sequence[Identity]
    who: Mapping[str, str]
    """The identity of each track."""

    @property
    def duration_ms(self) -> int:
        """Of the picture."""
        return self.video.end_ms - self.video.start_offset_ms


class _Looks(NamedTuple):
    """What is learnt from looking at faces together, look by look."""

    alone: Mapping[str, Sequence[Span]]
    """When each is the only face."""
    confessional: Mapping[str, int]
    """For how long each is alone, large, centred and frontal; nobody whose landmarks are not
    known is in it."""
    unidentified_ms: int
    """For how long a face of nobody is seen."""


@stage(
    requires=[probe.name, detect.name, faces.name, cluster.name, track_fusion.name],
    uses=[scenes.name, transcript.name],
    makes=[SCREENTIME, SCREENTIME_TABLE, APPEARANCES],
    settings=ScreentimeSettings,
    aliases=["screen_time"],
    consults=[PEOPLE],
    version=RULE_VERSION,
)
def screentime(bench: Bench, settings: ScreentimeSettings) -> Outcome:
    """Put all evidence together, person by person."""
    video = bench.read_document(PROBE, Probe).video
    assert video is not None  # detect was skipped otherwise
    identities = identities_of(bench)
    film = _Film(video, shots_of(bench, video), settings, identities, owners(identities))
    pieces = _pieces(bench, film)
    looks = _looks(bench, film)
    recognised = told_apart(
        _recognised(bench, identities),
        {identity: [piece.span for piece in own] for identity, own in pieces.items()},
    )
    speaking, speaking_by = _speaking(bench, film, recognised, looks.alone)
    people = sorted(
        (
            _person(each, film, pieces[each.identity_id], recognised[each.identity_id])
            for each in identities
        ),
        key=lambda person: (-person.onscreen_ms, person.first_ms, person.identity_id),
    )
    people = [
        person.model_copy(
            update={
                "speaking_ms": speaking.get(person.identity_id),
                "confessional_ms": looks.confessional.get(person.identity_id),
            }
        )
        for person in people
    ]
    bench.write_document(
        SCREENTIME,
        ScreenTime(
            people=tuple(people),
            duration_ms=film.duration_ms,
            speaking_by=speaking_by,
            unidentified_face_ms=looks.unidentified_ms,
            thresholds_hash=digest_of(settings.model_dump(mode="json")),
        ),
    )
    _write_table(bench, people)
    bench.write_artifacts(APPEARANCES, _segments(pieces))
    return Done(
        producer=Producer(name="filmgate-screentime", version=str(RULE_VERSION)),
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
        return KnownPeople.model_validate_json(resource.path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(
            "the known people cannot be read",
            expected="the snapshot that was made when the run began",
            got=str(error).splitlines()[0],
            hint="Run again: another is made",
        ) from error


def _pieces(bench: Bench, film: _Film) -> dict[str, list[Piece]]:
    """Where everybody is, by identity."""
    evidence: dict[str, list[Piece]] = {each.identity_id: [] for each in film.identities}
    seen = faces_seen(bench)
    for line in bench.read_artifacts(TRACKS):
        track = TrackV1.model_validate(line.payload)
        if (identity := film.who.get(track.track_id)) is None:
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
        identity: put_together(pieces, film.shots, film.settings.bridge_ms)
        for identity, pieces in evidence.items()
    }


def _piece(
    span: Span, evidence: Literal["face", "body"], track_id: str, confidence: float | None
) -> Piece:
    return Piece(span=span, evidence=evidence, track_id=track_id, confidence=confidence)


def _looks(bench: Bench, film: _Film) -> _Looks:
    """Look at the faces that are seen together."""
    alone: dict[str, list[Span]] = {}
    staged: dict[str, list[Span]] = {}
    unidentified_ms = 0
    for _, group in groupby(tracked(bench), key=lambda each: each.span_start_ms):
        look = list(group)
        span = Span(start_ms=look[0].span_start_ms, end_ms=look[0].span_end_ms)
        whose = [film.who.get(each.track_id or "") for each in look]
        unidentified_ms += span.duration_ms * (None in whose)
        for identity, face in zip(whose, look, strict=True):
            if identity is not None and face.landmarks:
                staged.setdefault(identity, [])
        if len(look) == 1 and (identity := whose[0]) is not None:
            alone.setdefault(identity, []).append(span)
            if _is_staged(look[0], film):
                staged.setdefault(identity, []).append(span)
    least = film.settings.confessional_ms
    confessional = {
        identity: sum(each.duration_ms for each in joined(spans) if each.duration_ms >= least)
        for identity, spans in staged.items()
    }
    return _Looks(alone, confessional, unidentified_ms)


def _is_staged(face: Detection, film: _Film) -> bool:
    """Whether a face is large, centred and, where that was seen, frontal."""
    box, settings = face.bounding_box, film.settings
    middle = (box.x + box.width / 2) / film.video.display_width
    return (
        box.height >= settings.confessional_height * film.video.display_height
        and abs(middle - 0.5) <= settings.confessional_centre
        and bool(
            not face.landmarks or frontality(face.landmarks) >= settings.confessional_frontality
        )
    )


def _speaking(
    bench: Bench,
    film: _Film,
    recognised: Mapping[str, Recognised],
    alone: Mapping[str, Sequence[Span]],
) -> tuple[dict[str, int], Literal["speaker names", "sole face"] | None]:
    """For how long each speaks, as far as that can be told, and how it was told."""
    if film.settings.speaking == "off" or not bench.has(TRANSCRIPT):
        return {}, None
    said: dict[str, list[Span]] = {}
    for line in bench.read_artifacts(TRANSCRIPT):
        speaker = TranscriptSegmentV1.model_validate(line.payload).speaker
        span = Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        said.setdefault((speaker or "").casefold(), []).append(span)
    if film.settings.speaking == "sole_face":
        spoken = joined(span for spans in said.values() for span in spans)
        return {
            each.identity_id: common_ms(spoken, joined(alone.get(each.identity_id, ())))
            for each in film.identities
        }, "sole face"
    names = {
        identity: found.person.name.casefold()
        for identity, found in recognised.items()
        if found.person is not None
    }
    if not set(names.values()) & set(said):
        return {}, None
    return {
        identity: sum(span.duration_ms for span in joined(said.get(name, ())))
        for identity, name in names.items()
    }, "speaker names"


def _person(
    identity: Identity, film: _Film, pieces: Sequence[Piece], found: Recognised
) -> PersonTime:
    """Everything but what is learnt from others: speech, and who else is seen."""
    onscreen_ms = total_ms(pieces)
    return PersonTime(
        identity_id=identity.identity_id,
        vector_sha256=identity.vector_sha256,
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
        speaking_ms=None,
        confessional_ms=None,
        first_ms=pieces[0].span.start_ms if pieces else identity.first_ms,
        last_ms=pieces[-1].span.end_ms if pieces else identity.last_ms,
        appearances=appearances(pieces),
        share=round(onscreen_ms / film.duration_ms, 4) if film.duration_ms else 0.0,
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
