"""Cut detection from measured changes."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.change import FrameChanges
from filmgate.pipelines.episode.rules.cuts import CutSettings, find_cuts
from filmgate.pipelines.episode.stages.scenes import scenes_between

CALM, GREAT = 2.0, 60.0


def film(
    changes: Sequence[float],
    *,
    frame_ms: int = 40,
    bridge: float = 1.0,
    luma: Sequence[float] | None = None,
) -> FrameChanges:
    measured = FrameChanges()
    for index, change in enumerate(changes):
        measured.number.append(index)
        measured.ms.append(index * frame_ms)
        measured.content.append(change)
        measured.step.append(change)
        measured.bridge.append(bridge if change >= GREAT else 1.0)
        measured.luma.append(luma[index] if luma else 100.0)
    return measured


def entries(changes: FrameChanges, **settings: float) -> list[int]:
    return [cut.entry for cut in find_cuts(changes, CutSettings.model_validate(settings))]


def with_peaks(length: int, *peaks: int) -> list[float]:
    return [GREAT if index in peaks else CALM for index in range(length)]


def test_a_large_change_that_exceeds_its_neighbours_is_a_cut() -> None:
    assert entries(film(with_peaks(60, 20, 40))) == [20, 40]


def test_continuous_large_changes_are_motion() -> None:
    assert entries(film([GREAT] * 60)) == []


def test_a_change_after_which_the_picture_returns_is_a_flash() -> None:
    assert entries(film(with_peaks(60, 20), bridge=0.05)) == []


def test_of_two_cuts_that_are_too_close_the_stronger_is_used() -> None:
    changes = with_peaks(60, 20, 27)
    changes[27] = 2 * GREAT
    assert entries(film(changes)) == [27]


def test_each_slide_shown_for_seconds_is_a_scene() -> None:
    assert entries(film([0.0, GREAT, GREAT, GREAT], frame_ms=5000)) == [1, 2, 3]


@pytest.mark.parametrize(("black_frames", "found"), [(30, [45]), (5, [])])
def test_long_black_separates_two_scenes(black_frames: int, found: list[int]) -> None:
    luma = [80.0] * 15 + [0.0] * black_frames + [80.0] * 30
    changes = film([0.0] * len(luma), luma=luma)
    assert entries(changes) == found


def test_black_at_the_start_or_the_end_separates_nothing() -> None:
    luma = [0.0] * 40 + [80.0] * 40 + [0.0] * 40
    assert entries(film([0.0] * len(luma), luma=luma)) == []


def test_a_hard_cut_into_black_is_the_only_cut() -> None:
    luma = [80.0] * 20 + [0.0] * 40 + [80.0] * 20
    changes = film(with_peaks(80, 20), luma=luma)
    assert entries(changes) == [20]


@given(st.lists(st.floats(0, 255), min_size=1, max_size=120), st.integers(1, 2000))
def test_scenes_cover_the_video_without_gap_or_overlap(changes: list[float], frame_ms: int) -> None:
    measured = film(changes, frame_ms=frame_ms)
    settings = CutSettings()
    cuts = find_cuts(measured, settings)
    end = len(changes) * frame_ms
    scenes = list(scenes_between(cuts, measured, end))
    assert scenes[0].start_ms == 0
    assert scenes[-1].end_ms == end
    for before, after in pairwise(scenes):
        assert before.end_ms == after.start_ms
    starts = [scene.start_ms for scene in scenes[1:]]
    assert all(b - a >= settings.min_scene_ms for a, b in pairwise(starts))
