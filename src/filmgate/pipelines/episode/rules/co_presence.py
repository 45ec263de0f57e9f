"""Co-presence: when a person's face is alone, framed as in a confessional, or speaking."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.media.spans import Span
from filmgate.pipelines.episode.records import Detection
from filmgate.pipelines.episode.rules.quality import compute_frontality
from filmgate.pipelines.episode.rules.screen_presence import common_ms, merge_spans


class ConfessionalSettings(Settings):
    """Thresholds for the framing of a confessional.

    A confessional, as in reality television, is a shot in which one person, alone, faces the
    camera.
    """

    confessional_ms: Annotated[int, Field(ge=0)] = 5000
    """Minimum duration for which a face must be alone, large, centred and frontal."""
    confessional_height: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Minimum height of the face, as a share of the picture height."""
    confessional_centre: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    """Maximum horizontal distance of the face's centre from the middle of the picture, as a share
    of the picture width."""
    confessional_frontality: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Minimum frontality of the face: 1 is frontal, 0 is a profile."""


class CoPresence(NamedTuple):
    """Results of comparing the faces that are visible at the same time."""

    alone: Mapping[str, Sequence[Span]]
    """Spans in which the face of an identity is alone in the picture, by identity."""
    confessional: Mapping[str, int]
    """Confessional time in ms, by identity; identities whose faces have no landmarks are
    omitted."""
    unidentified_ms: int
    """Time during which a face without an identity is visible."""


class Attribution(NamedTuple):
    """Speaking time in ms by identity, and the method used; empty and None if not measured."""

    speaking_ms: Mapping[str, int]
    method: Literal["speaker names", "sole face"] | None


def measure_co_presence(
    faces: Iterable[Detection],
    identity_by_track: Mapping[str, str],
    frame_size: tuple[int, int],
    settings: ConfessionalSettings,
) -> CoPresence:
    """Compare the faces that are visible at the same time.

    `faces`: detections of tracks, ordered by time. `identity_by_track`: identity of each face
    track. `frame_size`: width and height of the displayed picture, in pixels.
    """
    alone: dict[str, list[Span]] = {}
    confessional_spans: dict[str, list[Span]] = {}
    unidentified_ms = 0
    for _, group in groupby(faces, key=lambda face: face.span_start_ms):
        faces_at_once = list(group)
        span = Span(start_ms=faces_at_once[0].span_start_ms, end_ms=faces_at_once[0].span_end_ms)
        identities = [identity_by_track.get(face.track_id or "") for face in faces_at_once]
        unidentified_ms += span.duration_ms * (None in identities)
        for identity, face in zip(identities, faces_at_once, strict=True):
            if identity is not None and face.landmarks:
                confessional_spans.setdefault(identity, [])
        if len(faces_at_once) == 1 and (identity := identities[0]) is not None:
            alone.setdefault(identity, []).append(span)
            if identity in confessional_spans and _is_confessional_framing(
                faces_at_once[0], frame_size, settings
            ):
                confessional_spans[identity].append(span)
    confessional = {
        identity: sum(
            span.duration_ms
            for span in merge_spans(spans)
            if span.duration_ms >= settings.confessional_ms
        )
        for identity, spans in confessional_spans.items()
    }
    return CoPresence(alone, confessional, unidentified_ms)


def attribute_to_sole_faces(
    speech: Mapping[str, Sequence[Span]], identities: Iterable[str], presence: CoPresence
) -> Attribution:
    """Attribute speech to the identity whose face is the only one visible.

    The result is wrong wherever the voice belongs to someone who is not visible.
    """
    spoken = merge_spans(span for spans in speech.values() for span in spans)
    times = {
        identity: common_ms(spoken, merge_spans(presence.alone.get(identity, ())))
        for identity in identities
    }
    return Attribution(times, "sole face")


def attribute_to_named_speakers(
    speech: Mapping[str, Sequence[Span]], names: Mapping[str, str]
) -> Attribution:
    """Attribute speech to the identities of known people whom the subtitles name as speakers.

    `speech`: spans by case-folded speaker name. `names`: name of each identity that was
    recognised. If several identities are the same person, each gets all of that person's speech,
    as it is unknown which of them speaks.
    """
    folded = {identity: name.casefold() for identity, name in names.items()}
    if not set(folded.values()) & set(speech):
        return Attribution({}, None)
    times = {
        identity: sum(span.duration_ms for span in merge_spans(speech.get(name, ())))
        for identity, name in folded.items()
    }
    return Attribution(times, "speaker names")


def _is_confessional_framing(
    face: Detection, frame_size: tuple[int, int], settings: ConfessionalSettings
) -> bool:
    """Whether a face is large, centred and frontal; without landmarks it counts as frontal."""
    box, (width, height) = face.bounding_box, frame_size
    is_centred = abs((box.x + box.width / 2) / width - 0.5) <= settings.confessional_centre
    is_large = box.height >= settings.confessional_height * height
    is_frontal = compute_frontality(face.landmarks) >= settings.confessional_frontality
    return is_large and is_centred and is_frontal
