"""Fusion of face tracks with body tracks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.boxes import Box
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.fusion import TrackBox, fuse_tracks, is_at_head

BODY = Box(100, 100, 60, 180)
HEAD = Box(118, 108, 24, 24)


def track(box: Box, start: int, end: int, *, step: int = 100, drift: float = 0) -> list[TrackBox]:
    return [
        TrackBox(
            Span(start_ms=ms, end_ms=ms + step),
            Box(box.x + drift * (ms - start) / 1000, box.y, box.width, box.height),
        )
        for ms in range(start, end, step)
    ]


def test_a_face_at_the_head_of_a_body_belongs_to_it() -> None:
    (found,) = fuse_tracks({"b": track(BODY, 0, 1000)}, {"f": track(HEAD, 200, 800)})
    assert (found.body, found.faces, found.together_ms) == ("b", ("f",), 600)


def test_a_face_at_the_feet_or_beside_a_body_does_not_belong_to_it() -> None:
    feet, beside = HEAD._replace(y=240), HEAD._replace(x=300)
    assert not is_at_head(feet, BODY)
    assert fuse_tracks({"b": track(BODY, 0, 1000)}, {"f": track(beside, 0, 1000)}) == []


def test_a_face_that_is_lost_and_found_stays_with_its_body() -> None:
    faces = {"f1": track(HEAD, 0, 300), "f2": track(HEAD, 600, 1000)}
    (found,) = fuse_tracks({"b": track(BODY, 0, 1000)}, faces)
    assert found.faces == ("f1", "f2")


def test_two_people_side_by_side_are_not_mixed() -> None:
    other_body, other_head = BODY._replace(x=140), HEAD._replace(x=158)
    found = fuse_tracks(
        {"b1": track(BODY, 0, 1000), "b2": track(other_body, 0, 1000)},
        {"f1": track(HEAD, 0, 1000), "f2": track(other_head, 0, 1000)},
    )
    assert [(fused.body, fused.faces) for fused in found] == [("b1", ("f1",)), ("b2", ("f2",))]


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
    found = fuse_tracks(body_tracks, face_tracks)
    assigned_faces = [face for fused in found for face in fused.faces]
    assert len(assigned_faces) == len(set(assigned_faces))
    for fused in found:
        spans = [
            (face_tracks[f][0].span.start_ms, face_tracks[f][-1].span.end_ms) for f in fused.faces
        ]
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
