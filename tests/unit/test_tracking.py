"""Tracking, with a follower that knows the truth: what it decides, not how well a model sees."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from filmgate.media.boxes import Box
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.tracking import (
    Candidate,
    FollowSettings,
    Glance,
    Sighting,
    Tracker,
    Trail,
    likely_switches,
    matched,
)

STEP_MS = 100
FACE = Box(20, 20, 20, 20)
SURE, LOST = 10.0, 2.0


class Truth:
    """A follower that stays where it was put, until the picture is dark: then it is lost."""

    def __init__(self) -> None:
        self.box = FACE

    def start(self, image: NDArray[np.uint8], box: Box) -> None:
        self.box = box

    def follow(self, image: NDArray[np.uint8]) -> tuple[Box, float]:
        return self.box, SURE if image[0, 0] else LOST


def follow(
    looks: Sequence[list[Candidate] | None],
    *,
    dark: Sequence[int] = (),
    **settings: int,
) -> tuple[list[Trail], list[Sighting]]:
    tracker = Tracker(FollowSettings(**settings), Truth)
    for number, found in enumerate(looks):
        image = np.full((100, 100), 0 if number in dark else 200, np.uint8)
        span = Span(start_ms=number * STEP_MS, end_ms=(number + 1) * STEP_MS)
        tracker.see(Glance(number, span, image), found)
    return tracker.end()


def at(box: Box = FACE, confidence: float = 0.9) -> Candidate:
    return Candidate(box, confidence)


def test_a_face_is_followed_to_the_end_of_its_shot_and_back_to_the_start() -> None:
    (trail,), strays = follow([[], [], [at()], [at()], [], []])
    assert trail.life == Span(start_ms=0, end_ms=600)
    assert trail.detections == 2
    assert [each.confidence is None for each in trail.sightings] == [True, True, False, False] + [
        True
    ] * 2
    assert strays == []


def test_what_is_detected_once_is_a_false_alarm() -> None:
    trails, strays = follow([[at()], [], [], []])
    assert trails == []
    assert [each.frame_number for each in strays] == [0]


def test_a_track_ends_where_its_follower_is_lost() -> None:
    (trail,), _ = follow([[at()], [at()], None, None, None], dark=[3, 4])
    assert trail.life == Span(start_ms=0, end_ms=300)


def test_a_track_is_carried_for_so_long_without_a_detection_and_no_longer() -> None:
    (trail,), _ = follow([[at()], [at()], *[None] * 10], max_carry_ms=300)
    assert trail.life.end_ms == 500


def test_a_new_face_beside_a_known_one_is_another_track() -> None:
    other = Box(60, 60, 20, 20)
    trails, _ = follow([[at()], [at(), at(other)], [at(), at(other)]])
    assert [trail.detections for trail in trails] == [3, 2]


def test_a_track_is_in_every_look_of_its_life_once() -> None:
    trails, _ = follow([[at()], None, [at()], None, [], [at()], None])
    for trail in trails:
        frames = [each.frame_number for each in trail.sightings]
        assert frames == list(range(frames[0], frames[-1] + 1))


def test_the_next_shot_knows_nothing_of_the_one_before() -> None:
    tracker = Tracker(FollowSettings(), Truth)
    image = np.full((100, 100), 200, np.uint8)
    lives = []
    for number in range(4):
        span = Span(start_ms=number * STEP_MS, end_ms=(number + 1) * STEP_MS)
        tracker.see(Glance(number, span, image), [at()])
        if number % 2:
            trails, _ = tracker.end()
            lives += [(trail.life.start_ms, trail.life.end_ms) for trail in trails]
    assert lives == [(0, 200), (200, 400)]


def test_matching_takes_the_greatest_overlap_of_all_together() -> None:
    places = [Box(0, 0, 10, 10), Box(4, 0, 10, 10)]
    found = [Box(3, 0, 10, 10), Box(7, 0, 10, 10)]
    assert matched(places, found, 0.3) == [(0, 0), (1, 1)]
    assert matched(places, [], 0.3) == []
    assert matched([], found, 0.3) == []


def test_a_track_that_begins_where_one_was_just_lost_is_a_likely_switch() -> None:
    trails, _ = follow([[at()], [at()], None, [at()], [at()]], dark=[2, 3])
    assert len(trails) == 2
    assert likely_switches(trails, 0.3) == 1
