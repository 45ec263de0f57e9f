"""Who is seen with whom, and who speaks: what is learnt of one person from the others."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.media.spans import Span
from filmgate.pipelines.episode.records import Detection
from filmgate.pipelines.episode.rules.presence import common_ms, joined
from filmgate.pipelines.episode.rules.quality import frontality


class Staged(Settings):
    """When somebody is staged as in a confessional."""

    confessional_ms: Annotated[int, Field(ge=0)] = 5000
    """How long somebody must be alone, frontal, large and centred for it to count."""
    confessional_height: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Large: the least height of the face, of the picture's."""
    confessional_centre: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    """Centred: the greatest distance of the face's middle from the picture's, of its width."""
    confessional_frontality: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Frontal: 1 is straight on, 0 a profile."""


class Looks(NamedTuple):
    """What is learnt from looking at faces together, look by look."""

    alone: Mapping[str, Sequence[Span]]
    """When each identity's is the only face."""
    confessional: Mapping[str, int]
    """For how long each is staged; nobody whose landmarks are not known is in it."""
    unidentified_ms: int
    """For how long a face of nobody is seen."""


class Attribution(NamedTuple):
    """For how long each identity speaks, and how that was told; nobody where it was not."""

    ms: Mapping[str, int]
    by: Literal["speaker names", "sole face"] | None


def look_together(
    faces: Iterable[Detection], who: Mapping[str, str], size: tuple[int, int], staged: Staged
) -> Looks:
    """Go through the faces of tracks, in order of time; `who` is the identity of each track, and
    `size` the displayed picture's width and height."""
    alone: dict[str, list[Span]] = {}
    posed: dict[str, list[Span]] = {}
    unidentified_ms = 0
    for _, group in groupby(faces, key=lambda each: each.span_start_ms):
        look = list(group)
        span = Span(start_ms=look[0].span_start_ms, end_ms=look[0].span_end_ms)
        whose = [who.get(each.track_id or "") for each in look]
        unidentified_ms += span.duration_ms * (None in whose)
        for identity, face in zip(whose, look, strict=True):
            if identity is not None and face.landmarks:
                posed.setdefault(identity, [])
        if len(look) == 1 and (identity := whose[0]) is not None:
            alone.setdefault(identity, []).append(span)
            if identity in posed and _is_staged(look[0], size, staged):
                posed[identity].append(span)
    lasting = {
        identity: sum(
            each.duration_ms for each in joined(spans) if each.duration_ms >= staged.confessional_ms
        )
        for identity, spans in posed.items()
    }
    return Looks(alone, lasting, unidentified_ms)


def to_sole_faces(
    said: Mapping[str, Sequence[Span]], identities: Iterable[str], looks: Looks
) -> Attribution:
    """Speech while an identity's is the only face: wrong wherever the voice is not theirs."""
    spoken = joined(span for spans in said.values() for span in spans)
    times = {each: common_ms(spoken, joined(looks.alone.get(each, ()))) for each in identities}
    return Attribution(times, "sole face")


def to_speakers_by_name(
    said: Mapping[str, Sequence[Span]], names: Mapping[str, str]
) -> Attribution:
    """Speech whose speaker (case-folded, in `said`) has the name of a known person.

    Of several identities that are one person, each has all of it: whose mouth it is, nobody
    knows.
    """
    folded = {identity: name.casefold() for identity, name in names.items()}
    if not set(folded.values()) & set(said):
        return Attribution({}, None)
    times = {
        identity: sum(span.duration_ms for span in joined(said.get(name, ())))
        for identity, name in folded.items()
    }
    return Attribution(times, "speaker names")


def _is_staged(face: Detection, size: tuple[int, int], staged: Staged) -> bool:
    """Whether a face is large, centred and, where that was seen, frontal."""
    box, (width, height) = face.bounding_box, size
    is_centred = abs((box.x + box.width / 2) / width - 0.5) <= staged.confessional_centre
    is_large = box.height >= staged.confessional_height * height
    is_frontal = frontality(face.landmarks) >= staged.confessional_frontality
    return is_large and is_centred and is_frontal
