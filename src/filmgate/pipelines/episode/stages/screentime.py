"""Screen time: how long everybody is on screen, and on what evidence."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.digest import digest_of
from filmgate.core.errors import Invalid
from filmgate.core.payloads.tracks import ScreentimeSegmentV1, TrackV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.people import PEOPLE, KnownPeople
from filmgate.core.plan import Done, Outcome, Producer, stage
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
    FaceModel,
    Fusion,
    Identity,
    Probe,
    VideoFacts,
)
from filmgate.pipelines.episode.rules.company import (
    Attribution,
    Looks,
    Staged,
    look_together,
    to_sole_faces,
    to_speakers_by_name,
)
from filmgate.pipelines.episode.rules.presence import (
    Piece,
    appearances,
    put_together,
    total_ms,
)
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


class ScreentimeSettings(Staged):
    """What counts as being on screen, speaking, confessing."""

    bridge_ms: Annotated[int, Field(ge=0)] = 1000
    """Gaps up to that inside a shot are bridged, and reported as such."""
    speaking: Literal["speaker_names", "sole_face", "off"] = "speaker_names"
    """How speech is given to people: by the speakers that subtitles name, where a known person is
    called so; or, on request, to whoever is the only face seen meanwhile, which is wrong wherever
    the voice is not of the picture."""


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
    looks = look_together(
        tracked(bench), film.who, (video.display_width, video.display_height), settings
    )
    recognised = told_apart(
        _recognised(bench, identities),
        {
            identity: [piece.span for piece in own if piece.evidence == "face"]
            for identity, own in pieces.items()
        },
    )
    speaking = _speaking(bench, film, recognised, looks)
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
                "speaking_ms": speaking.ms.get(person.identity_id),
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
            speaking_by=speaking.by,
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


def _speaking(
    bench: Bench, film: _Film, recognised: Mapping[str, Recognised], looks: Looks
) -> Attribution:
    """For how long each speaks, as far as that can be told."""
    if film.settings.speaking == "off" or not bench.has(TRANSCRIPT):
        return Attribution({}, None)
    said: dict[str, list[Span]] = {}
    for line in bench.read_artifacts(TRANSCRIPT):
        speaker = TranscriptSegmentV1.model_validate(line.payload).speaker
        span = Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        said.setdefault((speaker or "").casefold(), []).append(span)
    if film.settings.speaking == "sole_face":
        return to_sole_faces(said, [each.identity_id for each in film.identities], looks)
    return to_speakers_by_name(
        said,
        {
            identity: found.person.name
            for identity, found in recognised.items()
            if found.person is not None
        },
    )


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
