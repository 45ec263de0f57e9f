"""Faces and the bodies that they belong to."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.boxes import Box
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.fusion import Where, fits, fuse

BODY = Box(100, 100, 60, 180)
HEAD = Box(118, 108, 24, 24)


def track(box: Box, start: int, end: int, *, step: int = 100, drift: float = 0) -> list[Where]:
    return [
        Where(
            Span(start_ms=ms, end_ms=ms + step),
            Box(box.x + drift * (ms - start) / 1000, box.y, box.width, box.height),
        )
        for ms in range(start, end, step)
    ]


def test_a_face_at_the_head_of_a_body_is_its_own() -> None:
    (found,) = fuse({"b": track(BODY, 0, 1000)}, {"f": track(HEAD, 200, 800)})
    assert (found.body, found.faces, found.together_ms) == ("b", ("f",), 600)


def test_a_face_at_the_feet_or_beside_is_not() -> None:
    feet, beside = HEAD._replace(y=240), HEAD._replace(x=300)
    assert not fits(feet, BODY)
    assert fuse({"b": track(BODY, 0, 1000)}, {"f": track(beside, 0, 1000)}) == []


def test_a_face_lost_and_found_stays_with_its_body() -> None:
    faces = {"f1": track(HEAD, 0, 300), "f2": track(HEAD, 600, 1000)}
    (found,) = fuse({"b": track(BODY, 0, 1000)}, faces)
    assert found.faces == ("f1", "f2")


def test_two_people_side_by_side_are_not_mixed() -> None:
    other_body, other_head = BODY._replace(x=140), HEAD._replace(x=158)
    found = fuse(
        {"b1": track(BODY, 0, 1000), "b2": track(other_body, 0, 1000)},
        {"f1": track(HEAD, 0, 1000), "f2": track(other_head, 0, 1000)},
    )
    assert [(each.body, each.faces) for each in found] == [("b1", ("f1",)), ("b2", ("f2",))]


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2000)), max_size=5),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2000)), max_size=6),
)
def test_a_face_has_one_body_and_a_body_one_face_at_a_time(
    bodies: list[tuple[int, int]], faces: list[tuple[int, int]]
) -> None:
    body_tracks = {
        f"b{n}": track(BODY._replace(x=x), start, start + 500)
        for n, (x, start) in enumerate(bodies)
    }
    face_tracks = {
        f"f{n}": track(HEAD._replace(x=x + 18), start, start + 300)
        for n, (x, start) in enumerate(faces)
    }
    found = fuse(body_tracks, face_tracks)
    given_faces = [face for each in found for face in each.faces]
    assert len(given_faces) == len(set(given_faces))
    for each in found:
        spans = [
            (face_tracks[f][0].span.start_ms, face_tracks[f][-1].span.end_ms) for f in each.faces
        ]
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
