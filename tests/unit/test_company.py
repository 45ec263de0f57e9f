"""Who is seen alone, and who speaks."""

from filmgate.core.payloads.geometry import BoundingBox
from filmgate.media.spans import Span
from filmgate.pipelines.episode.records import Detection
from filmgate.pipelines.episode.rules.company import (
    Looks,
    Staged,
    look_together,
    to_sole_faces,
    to_speakers_by_name,
)

SIZE = (640, 360)
LARGE = BoundingBox(x=260, y=100, width=120, height=120)
SMALL = BoundingBox(x=260, y=100, width=40, height=40)
ASIDE = BoundingBox(x=10, y=100, width=120, height=120)
STRAIGHT = ((300.0, 140.0), (340.0, 140.0), (320.0, 170.0))
PROFILE = ((300.0, 140.0), (340.0, 140.0), (300.0, 170.0))
WHO = {"f1": "c1", "f2": "c2"}


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


def seen(*faces: Detection) -> Looks:
    return look_together(faces, WHO, SIZE, Staged())


def test_alone_large_centred_and_frontal_for_a_while_is_a_confessional() -> None:
    assert seen(*(face(n) for n in range(6))).confessional == {"c1": 6000}
    assert seen(*(face(n) for n in range(4))).confessional == {"c1": 0}
    for other in (SMALL, ASIDE):
        assert seen(*(face(n, box=other) for n in range(6))).confessional == {"c1": 0}
    assert seen(*(face(n, landmarks=PROFILE) for n in range(6))).confessional == {"c1": 0}


def test_in_company_nobody_confesses() -> None:
    both = [each for n in range(6) for each in (face(n), face(n, "f2", ASIDE))]
    found = seen(*both)
    assert (dict(found.alone), found.confessional) == ({}, {"c1": 0, "c2": 0})


def test_without_landmarks_it_was_not_measured() -> None:
    assert seen(*(face(n, landmarks=()) for n in range(6))).confessional == {}


def test_faces_of_nobody_are_counted_once_a_look() -> None:
    looks = seen(face(0, "f8"), face(0, "f9"), face(1), face(2, "f9"))
    assert looks.unidentified_ms == 2000


def test_speech_is_given_to_the_sole_face_each_moment_once() -> None:
    looks = seen(face(0), face(1), face(1, "f2", ASIDE), face(2, "f2"))
    said = {
        "": [Span(start_ms=500, end_ms=2500), Span(start_ms=600, end_ms=900)],
    }
    assert to_sole_faces(said, ["c1", "c2"], looks).ms == {"c1": 500, "c2": 500}


def test_speech_is_given_by_name_only_where_a_known_person_is_named() -> None:
    said = {"lisa": [Span(start_ms=0, end_ms=500), Span(start_ms=300, end_ms=900)]}
    assert to_speakers_by_name(said, {"c1": "Lisa", "c2": "Bart"}) == (
        {"c1": 900, "c2": 0},
        "speaker names",
    )
    assert to_speakers_by_name(said, {"c2": "Bart"}) == ({}, None)
