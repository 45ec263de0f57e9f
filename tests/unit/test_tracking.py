"""Decisions of the tracker, with a follower whose result is known."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from filmgate.media.boxes import Box
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.tracking import (
    Candidate,
    GreyFrame,
    OpenTrack,
    Tracker,
    TrackingSettings,
    TrackPoint,
    count_likely_switches,
    match_boxes,
)

STEP_MS = 100
FACE = Box(20, 20, 20, 20)
SURE, LOST = 10.0, 2.0


class ConstantFollower:
    """A follower that stays at its start position and is lost when the picture is dark."""

    def __init__(self) -> None:
        self.box = FACE

    def start(self, image: NDArray[np.uint8], box: Box) -> None:
        self.box = box

    def follow(self, image: NDArray[np.uint8]) -> tuple[Box, float]:
        return self.box, SURE if image[0, 0] else LOST


def run_tracker(
    detections: Sequence[list[Candidate] | None],
    *,
    dark: Sequence[int] = (),
    **settings: int,
) -> tuple[list[OpenTrack], list[TrackPoint]]:
    tracker = Tracker(TrackingSettings(**settings), ConstantFollower)
    for number, found in enumerate(detections):
        image = np.full((100, 100), 0 if number in dark else 200, np.uint8)
        span = Span(start_ms=number * STEP_MS, end_ms=(number + 1) * STEP_MS)
        tracker.add_frame(GreyFrame(number, span, image), found)
    return tracker.finish_shot()


def candidate(box: Box = FACE, confidence: float = 0.9) -> Candidate:
    return Candidate(box, confidence)


def test_a_face_is_followed_to_the_end_of_its_shot_and_back_to_the_start() -> None:
    (track,), stray_detections = run_tracker([[], [], [candidate()], [candidate()], [], []])
    assert track.span == Span(start_ms=0, end_ms=600)
    assert track.detections == 2
    assert [point.confidence is None for point in track.points] == [True, True, False, False] + [
        True
    ] * 2
    assert stray_detections == []


def test_a_single_detection_is_a_false_alarm() -> None:
    tracks, stray_detections = run_tracker([[candidate()], [], [], []])
    assert tracks == []
    assert [point.frame_number for point in stray_detections] == [0]


def test_a_track_ends_where_its_follower_is_lost() -> None:
    (track,), _ = run_tracker([[candidate()], [candidate()], None, None, None], dark=[3, 4])
    assert track.span == Span(start_ms=0, end_ms=300)


def test_a_track_without_detections_ends_after_the_longest_allowed_time() -> None:
    (track,), _ = run_tracker([[candidate()], [candidate()], *[None] * 10], max_carry_ms=300)
    assert track.span.end_ms == 500


def test_a_new_face_beside_a_known_one_is_another_track() -> None:
    other = Box(60, 60, 20, 20)
    tracks, _ = run_tracker(
        [[candidate()], [candidate(), candidate(other)], [candidate(), candidate(other)]]
    )
    assert [track.detections for track in tracks] == [3, 2]


def test_a_track_has_one_point_in_every_frame_of_its_span() -> None:
    tracks, _ = run_tracker([[candidate()], None, [candidate()], None, [], [candidate()], None])
    for track in tracks:
        frames = [point.frame_number for point in track.points]
        assert frames == list(range(frames[0], frames[-1] + 1))


def test_tracks_do_not_continue_into_the_next_shot() -> None:
    tracker = Tracker(TrackingSettings(), ConstantFollower)
    image = np.full((100, 100), 200, np.uint8)
    lives = []
    for number in range(4):
        span = Span(start_ms=number * STEP_MS, end_ms=(number + 1) * STEP_MS)
        tracker.add_frame(GreyFrame(number, span, image), [candidate()])
        if number % 2:
            tracks, _ = tracker.finish_shot()
            lives += [(track.span.start_ms, track.span.end_ms) for track in tracks]
    assert lives == [(0, 200), (200, 400)]


def test_matching_maximises_the_total_overlap() -> None:
    positions = [Box(0, 0, 10, 10), Box(4, 0, 10, 10)]
    found = [Box(3, 0, 10, 10), Box(7, 0, 10, 10)]
    assert match_boxes(positions, found, 0.3) == [(0, 0), (1, 1)]
    assert match_boxes(positions, [], 0.3) == []
    assert match_boxes([], found, 0.3) == []


def test_a_track_that_begins_where_one_was_just_lost_is_a_likely_switch() -> None:
    tracks, _ = run_tracker(
        [[candidate()], [candidate()], None, [candidate()], [candidate()]], dark=[2, 3]
    )
    assert len(tracks) == 2
    assert count_likely_switches(tracks, 0.3) == 1
