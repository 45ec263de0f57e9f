"""Screen time: measures how long each person is on screen, and by which evidence."""

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
from filmgate.core.people import PEOPLE, KnownPeople, Likeness
from filmgate.core.plan import Done, Outcome, Producer, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.resources import Resource
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
from filmgate.pipelines.episode.frame_sampling import read_shots
from filmgate.pipelines.episode.identities import (
    map_tracks_to_identities,
    read_detected_spans,
    read_identities,
    read_tracked_detections,
)
from filmgate.pipelines.episode.records import FaceModel, Fusion, Identity, Probe, VideoFacts
from filmgate.pipelines.episode.rules.co_presence import (
    Attribution,
    ConfessionalSettings,
    CoPresence,
    attribute_to_named_speakers,
    attribute_to_sole_faces,
    measure_co_presence,
)
from filmgate.pipelines.episode.rules.recognition import Recognition, recognise, resolve_conflicts
from filmgate.pipelines.episode.rules.screen_presence import (
    PresenceSpan,
    count_appearances,
    merge_evidence,
    total_ms,
)
from filmgate.pipelines.episode.screen_times import PersonTime, ScreenTime
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.stages.track_fusion import track_fusion
from filmgate.pipelines.episode.stages.transcript import transcript

RULE_VERSION = 1
"""Version of the rules in `rules/screen_presence.py`, `rules/co_presence.py` and
`rules/recognition.py`; increased whenever their results change."""


class ScreentimeSettings(ConfessionalSettings):
    """What counts as on screen, speaking and confessional."""

    bridge_ms: Annotated[int, Field(ge=0)] = 1000
    """Longest gap inside one shot that counts as on screen; it is reported as bridged."""
    speaking: Literal["speaker_names", "sole_face", "off"] = "speaker_names"
    """How speech is attributed to people. `speaker_names`: subtitles name a known person as the
    speaker. `sole_face`: the only visible face speaks, which is wrong wherever the voice belongs
    to someone who is not visible."""


@dataclass(frozen=True)
class _EpisodeFacts:
    """The facts of a video that are common to all of its people."""

    video: VideoFacts
    shots: Sequence[Span]
    settings: ScreentimeSettings
    identities: Sequence[Identity]
    identity_by_track: Mapping[str, str]
    """Identity of each face track that was clustered."""

    @property
    def duration_ms(self) -> int:
        """Duration of the video track."""
        return self.video.end_ms - self.video.start_offset_ms


@stage(
    requires=[probe.name, detect.name, faces.name, cluster.name, track_fusion.name],
    uses=[scenes.name, transcript.name],
    makes=[SCREENTIME, SCREENTIME_TABLE, APPEARANCES],
    settings=ScreentimeSettings,
    aliases=["screen_time"],
    reads_resources=[PEOPLE],
    version=RULE_VERSION,
)
def screentime(context: StageContext, settings: ScreentimeSettings) -> Outcome:
    """Measure the screen time of each person from all evidence."""
    video = context.read_document(PROBE, Probe).video
    assert video is not None  # without a video track, `detect` and this stage are skipped
    identities = read_identities(context)
    episode = _EpisodeFacts(
        video,
        read_shots(context, video),
        settings,
        identities,
        map_tracks_to_identities(identities),
    )
    presences = _presences_by_identity(context, episode)
    co_presence = measure_co_presence(
        read_tracked_detections(context),
        episode.identity_by_track,
        (video.display_width, video.display_height),
        settings,
    )
    recognitions = resolve_conflicts(
        _recognise_all(context, identities),
        {
            identity: [presence.span for presence in spans if presence.evidence == "face"]
            for identity, spans in presences.items()
        },
    )
    speaking = _speaking(context, episode, recognitions, co_presence)
    people = [
        _person(
            identity,
            episode,
            presences[identity.identity_id],
            recognitions[identity.identity_id],
            speaking_ms=speaking.speaking_ms.get(identity.identity_id),
            confessional_ms=co_presence.confessional.get(identity.identity_id),
        )
        for identity in identities
    ]
    people.sort(key=lambda person: (-person.onscreen_ms, person.first_ms, person.identity_id))
    context.write_document(
        SCREENTIME,
        ScreenTime(
            people=tuple(people),
            duration_ms=episode.duration_ms,
            speaking_by=speaking.method,
            unidentified_face_ms=co_presence.unidentified_ms,
            thresholds_hash=digest_of(settings.model_dump(mode="json")),
        ),
    )
    _write_table(context, people)
    context.write_artifacts(APPEARANCES, _segments(presences))
    return Done(
        producer=Producer(name="filmgate-screentime", version=str(RULE_VERSION)),
        counts={
            "people": len(people),
            "known": sum(person.person_id is not None for person in people),
            "unsure": sum(bool(person.unsure) for person in people),
        },
    )


def _recognise_all(context: StageContext, identities: Iterable[Identity]) -> dict[str, Recognition]:
    """Compare all identities with the known people."""
    resource = context.resource(PEOPLE)
    known = KnownPeople(people=()) if resource is None else _read_known_people(resource)
    model = context.read_document(FACE_MODEL, FaceModel)
    return {
        identity.identity_id: recognise(
            identity.vector, model.producer, known, same_person=model.same_person
        )
        for identity in identities
    }


def _read_known_people(resource: Resource) -> KnownPeople:
    try:
        return KnownPeople.model_validate_json(resource.path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(
            "the snapshot of the known people cannot be read",
            expected="the snapshot made at the start of the run",
            got=str(error).splitlines()[0],
            hint="Run again to make a new snapshot",
        ) from error


def _presences_by_identity(
    context: StageContext, episode: _EpisodeFacts
) -> dict[str, list[PresenceSpan]]:
    """Collect the spans in which each identity is on screen."""
    evidence: dict[str, list[PresenceSpan]] = {
        identity.identity_id: [] for identity in episode.identities
    }
    detected_spans = read_detected_spans(context)
    for line in context.read_artifacts(TRACKS):
        track = TrackV1.model_validate(line.payload)
        if (identity_id := episode.identity_by_track.get(track.track_id)) is None:
            continue
        track_span = Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        evidence[identity_id] += [
            _presence_span(
                detected_spans[track.track_id], "face", track.track_id, track.confidence
            ),
            _presence_span(track_span, "body", track.track_id, None),
        ]
    for fusion in context.read_records(TRACK_FUSION, Fusion):
        if fusion.cluster_id is not None:
            body_span = Span(start_ms=fusion.span_start_ms, end_ms=fusion.span_end_ms)
            evidence[fusion.cluster_id].append(
                _presence_span(body_span, "body", fusion.body_track_id, None)
            )
    return {
        identity: merge_evidence(presences, episode.shots, episode.settings.bridge_ms)
        for identity, presences in evidence.items()
    }


def _presence_span(
    span: Span, evidence: Literal["face", "body"], track_id: str, confidence: float | None
) -> PresenceSpan:
    return PresenceSpan(span=span, evidence=evidence, track_id=track_id, confidence=confidence)


def _speaking(
    context: StageContext,
    episode: _EpisodeFacts,
    recognitions: Mapping[str, Recognition],
    co_presence: CoPresence,
) -> Attribution:
    """Measure the speaking time of each identity, if the settings and files allow it."""
    if episode.settings.speaking == "off" or not context.has(TRANSCRIPT):
        return Attribution({}, None)
    speech: dict[str, list[Span]] = {}
    for line in context.read_artifacts(TRANSCRIPT):
        speaker = TranscriptSegmentV1.model_validate(line.payload).speaker
        span = Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        speech.setdefault((speaker or "").casefold(), []).append(span)
    if episode.settings.speaking == "sole_face":
        identity_ids = [identity.identity_id for identity in episode.identities]
        return attribute_to_sole_faces(speech, identity_ids, co_presence)
    return attribute_to_named_speakers(
        speech,
        {
            identity: found.person.name
            for identity, found in recognitions.items()
            if found.person is not None
        },
    )


def _person(
    identity: Identity,
    episode: _EpisodeFacts,
    presences: Sequence[PresenceSpan],
    found: Recognition,
    *,
    speaking_ms: int | None,
    confessional_ms: int | None,
) -> PersonTime:
    """Measure the screen time of one person; speaking and confessional time are given."""
    onscreen_ms = total_ms(presences)
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
        face_visible_ms=total_ms(presences, "face"),
        body_only_ms=total_ms(presences, "body"),
        gap_bridged_ms=total_ms(presences, "bridged"),
        speaking_ms=speaking_ms,
        confessional_ms=confessional_ms,
        first_ms=presences[0].span.start_ms if presences else identity.first_ms,
        last_ms=presences[-1].span.end_ms if presences else identity.last_ms,
        appearances=count_appearances(presences),
        share=round(onscreen_ms / episode.duration_ms, 4) if episode.duration_ms else 0.0,
        is_singleton=identity.is_singleton,
    )


def _segments(presences: Mapping[str, Sequence[PresenceSpan]]) -> Iterator[Timed]:
    """Yield the presence spans of all identities, ordered by time."""
    timed = (
        Timed(
            presence.span.start_ms,
            presence.span.end_ms,
            ScreentimeSegmentV1(
                cluster_id=identity,
                evidence=presence.evidence,
                track_id=presence.track_id,
                confidence=presence.confidence,
            ),
        )
        for identity, spans in presences.items()
        for presence in spans
    )
    yield from sorted(timed, key=lambda segment: segment.sort_key)


def _write_table(context: StageContext, people: Sequence[PersonTime]) -> None:
    """Write the people as CSV, one per line; values that were not measured are empty."""
    columns = [name for name in PersonTime.model_fields if name != "unsure"]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    for person in people:
        row = person.model_dump(mode="json", exclude={"unsure"})
        table.writerow({name: _escape_formula(value) for name, value in row.items()})
    with context.create(SCREENTIME_TABLE) as file:
        file.write(text.getvalue().encode())


def _escape_formula(value: object) -> object:
    """Put an apostrophe before a text that a spreadsheet would evaluate as a formula."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value
