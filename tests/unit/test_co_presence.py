"""Co-presence: sole faces, confessionals and speaking time."""

from filmgate.core.payloads.geometry import BoundingBox
from filmgate.media.spans import Span
from filmgate.pipelines.episode.records import Detection
from filmgate.pipelines.episode.rules.co_presence import (
    ConfessionalSettings,
    CoPresence,
    attribute_to_named_speakers,
    attribute_to_sole_faces,
    measure_co_presence,
)

SIZE = (640, 360)
LARGE = BoundingBox(x=260, y=100, width=120, height=120)
SMALL = BoundingBox(x=260, y=100, width=40, height=40)
ASIDE = BoundingBox(x=10, y=100, width=120, height=120)
STRAIGHT = ((300.0, 140.0), (340.0, 140.0), (320.0, 170.0))
PROFILE = ((300.0, 140.0), (340.0, 140.0), (300.0, 170.0))
IDENTITY_BY_TRACK = {"f1": "c1", "f2": "c2"}


def face(
    second: int,
    track: str = "f1",
    box: BoundingBox = LARGE,
    landmarks: tuple[tuple[float, float], ...] = STRAIGHT,
) -> Detection:
    return Detection(
        track_id=track,
        frame_number=second,
        span_start_ms=second * 1000,
        span_end_ms=second * 1000 + 1000,
        bounding_box=box,
        confidence=0.9,
        landmarks=landmarks,
    )


def measure(*faces: Detection) -> CoPresence:
    return measure_co_presence(faces, IDENTITY_BY_TRACK, SIZE, ConfessionalSettings())


def test_a_sole_large_centred_frontal_face_for_five_seconds_is_a_confessional() -> None:
    assert measure(*(face(n) for n in range(6))).confessional == {"c1": 6000}
    assert measure(*(face(n) for n in range(4))).confessional == {"c1": 0}
    for other in (SMALL, ASIDE):
        assert measure(*(face(n, box=other) for n in range(6))).confessional == {"c1": 0}
    assert measure(*(face(n, landmarks=PROFILE) for n in range(6))).confessional == {"c1": 0}


def test_a_face_with_another_face_is_not_a_confessional() -> None:
    both = [one for n in range(6) for one in (face(n), face(n, "f2", ASIDE))]
    found = measure(*both)
    assert (dict(found.alone), found.confessional) == ({}, {"c1": 0, "c2": 0})


def test_without_landmarks_confessionals_are_not_measured() -> None:
    assert measure(*(face(n, landmarks=()) for n in range(6))).confessional == {}


def test_unidentified_faces_are_counted_once_per_sampled_frame() -> None:
    presence = measure(face(0, "f8"), face(0, "f9"), face(1), face(2, "f9"))
    assert presence.unidentified_ms == 2000


def test_speech_is_attributed_to_the_sole_face_counting_each_moment_once() -> None:
    presence = measure(face(0), face(1), face(1, "f2", ASIDE), face(2, "f2"))
    speech = {
        "": [Span(start_ms=500, end_ms=2500), Span(start_ms=600, end_ms=900)],
    }
    assert attribute_to_sole_faces(speech, ["c1", "c2"], presence).speaking_ms == {
        "c1": 500,
        "c2": 500,
    }


def test_speech_is_attributed_by_name_only_if_a_known_person_is_named() -> None:
    speech = {"lisa": [Span(start_ms=0, end_ms=500), Span(start_ms=300, end_ms=900)]}
    assert attribute_to_named_speakers(speech, {"c1": "Lisa", "c2": "Bart"}) == (
        {"c1": 900, "c2": 0},
        "speaker names",
    )
    assert attribute_to_named_speakers(speech, {"c2": "Bart"}) == ({}, None)
