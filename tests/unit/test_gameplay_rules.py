"""The decision rules of the gameplay pipeline."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from filmgate.core.errors import FilmgateError, Invalid
from filmgate.pipelines.gameplay.contracts import ExtractionTask
from filmgate.pipelines.gameplay.rules import inputs, menus, pictures
from filmgate.pipelines.gameplay.rules.members import group_samples
from filmgate.pipelines.gameplay.rules.tasks import check_key, parse_tasks
from filmgate.tools.sample_sessions import inputs_csv
from filmgate.tools.tars import Member


def reason(error: FilmgateError) -> str:
    return str(error.extra["reason"])


def test_a_task_list_has_each_key_once_ordered_without_comments() -> None:
    listed = b"\xef\xbb\xbf# all\n b/2.tar \n\na.tar # the first\nb/2.tar\r\n\tc#1.tar\n"
    assert [task.key for task in parse_tasks(listed)] == ["a.tar", "b/2.tar", "c#1.tar"]


@pytest.mark.parametrize("data", [b"", b"# nothing\n\n", b"\xff\xfe\x00"])
def test_a_task_list_without_keys_is_rejected(data: bytes) -> None:
    with pytest.raises(Invalid, match="task list"):
        parse_tasks(data)


@pytest.mark.parametrize(
    "key", ["../a.tar", "/etc/a.tar", "a//b.tar", "a.zip", "a/./b.tar", "s3://b/a.tar", "a\\b.tar"]
)
def test_a_key_outside_the_source_is_rejected(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_key(ExtractionTask(key=key))
    assert reason(refused.value) == "bad_key"


def test_inputs_are_on_the_time_line_of_the_video_and_accept_undoubled_quotes() -> None:
    log = inputs.parse_inputs(
        inputs_csv([(1.5, "KEYBOARD", "[87,true]"), (0.25, "MOUSE_MOVE", "[-3,7]")])
        + b"1700000002.0,NEW_KIND,[1]\nno line\n1e400,KEYBOARD,[1,true]\n"
    )
    assert log.bad_lines == 2
    assert log.is_timed
    assert [(e.time_ms, inputs.KINDS[e.kind], e.first, e.second) for e in log.pressed] == [
        (250, "MOUSE_MOVE", -3.0, 7.0),
        (1500, "KEYBOARD", 87.0, 1.0),
    ]
    assert [e.time_ms for e in log.events] == sorted(e.time_ms for e in log.events)


@given(st.binary(max_size=400))
def test_any_bytes_parse_to_an_input_log_with_finite_numbers(data: bytes) -> None:
    log = inputs.parse_inputs(b"timestamp,event_type,event_args\n" + data)
    assert all(np.isfinite([e.time_ms, e.first, e.second]).all() for e in log.events)


@given(st.lists(st.tuples(st.integers(0, 500), st.booleans(), st.sampled_from([65, 87]))))
def test_the_spans_in_which_keys_are_held_are_disjoint_and_ordered(
    presses: list[tuple[int, bool, int]],
) -> None:
    events = [
        inputs.InputEvent(at, inputs.KEYBOARD, float(code), float(down))
        for at, down, code in sorted(presses)
    ]
    spans = list(inputs.held_spans(events, frozenset({65, 87}), 500))
    assert all(begin <= end for begin, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def members(*names: str) -> list[Member]:
    return [Member(name, 512, 10) for name in names]


def test_a_session_is_one_video_with_the_files_beside_it() -> None:
    [found] = group_samples(members("x/rec.mp4", "x/inputs.csv", "x/metadata.json"), strict=True)
    assert (found.name, found.video.name) == (None, "x/rec.mp4")
    assert found.inputs is not None


def test_samples_are_videos_with_metadata_of_the_same_name() -> None:
    found = group_samples(
        members("0.mp4", "0.json", "1.mp4", "1.json", "1.csv", "0.txt"), strict=False
    )
    assert [(sample.name, len(sample.members)) for sample in found] == [("0", 2), ("1", 3)]


@pytest.mark.parametrize(
    ("names", "strict", "code"),
    [
        (["a.txt"], False, "no_video"),
        (["a.mp4"], False, "no_metadata"),
        (["a.mp4", "b.mp4", "metadata.json"], False, "two_videos"),
        (["0.mp4", "0.json", "1.mp4"], False, "no_metadata"),
        (["0.mp4", "0.json", "1.mp4", "1.json"], True, "two_videos"),
        (["a.mp4", "metadata.json"], True, "no_inputs"),
        (["a.mp4", "a.json", "inputs.csv"], True, "no_metadata"),
    ],
)
def test_an_archive_that_is_not_a_session_is_rejected_with_a_reason(
    names: Sequence[str], strict: bool, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        group_samples(members(*names), strict=strict)
    assert reason(refused.value) == code


NOISE = np.random.default_rng(7)


def scene(shade: int = 120, spread: int = 60) -> NDArray[np.uint8]:
    """Make a picture with content in every part."""
    return NOISE.integers(shade - spread, shade + spread, (180, 320)).astype(np.uint8)


def coloured(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert a grey picture, (h, w), to colour, (3, h, w)."""
    return np.repeat(grey[None], 3, axis=0)


def find_stretches(
    greys: NDArray[np.uint8], times_ms: Sequence[int], log: inputs.InputLog, *more: Any
) -> list[menus.Stretch]:
    frames = np.repeat(greys[:, None], 3, axis=1)
    return menus.find_stretches(frames, greys, times_ms, log, *more)


def test_a_panel_of_the_same_brightness_is_found_by_its_colour() -> None:
    picture = coloured(np.full((180, 320), 90, np.uint8))
    picture[:, 40:140, 100:220] = np.array([30, 120, 85]).reshape(3, 1, 1)
    found = menus.find_panel(picture)
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, (100, 40, 220, 140), strict=True)) <= 2


def test_a_panel_is_found_at_its_place_and_a_scene_has_none() -> None:
    picture = scene()
    assert menus.find_panel(coloured(picture)) is None
    picture[40:140, 100:220] = 51
    found = menus.find_panel(coloured(picture))
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, (100, 40, 220, 140), strict=True)) <= 2


def test_flat_sky_and_bars_at_the_side_are_not_panels() -> None:
    picture = scene()
    picture[:60] = 180
    assert menus.find_panel(coloured(picture)) is None
    picture[:, :80] = 10
    assert menus.find_panel(coloured(picture)) is None


def key(at: int, code: int, *, down: bool = True) -> inputs.InputEvent:
    return inputs.InputEvent(at, inputs.KEYBOARD, float(code), float(down))


def test_a_picture_that_darkens_when_a_menu_key_is_pressed_is_a_menu() -> None:
    bright = scene()
    dark = (bright * 0.4).astype(np.uint8)
    greys = np.stack([bright, bright, dark, dark, bright])
    times = [0, 1000, 2000, 3000, 4000]
    pressed = inputs.InputLog(events=(key(1900, 27),))
    for log, wanted in ((pressed, [2, 3]), (inputs.InputLog(), [])):
        found = find_stretches(greys, times, log)
        assert [index for one in found if one.is_menu for index in one.indices] == wanted


def test_a_still_screen_is_a_menu_only_after_a_menu_key() -> None:
    screen = scene()
    greys = np.stack([scene(), scene(), screen, screen, screen, scene()])
    for log, wanted in (
        (inputs.InputLog(events=(key(1900, 27),)), [2, 3, 4]),
        (inputs.InputLog(), []),
    ):
        found = find_stretches(greys, range(0, 6000, 1000), log)
        assert [index for one in found if one.is_menu for index in one.indices] == wanted


def test_a_walking_player_is_not_in_a_menu() -> None:
    picture = scene()
    picture[40:140, 100:220] = 51
    greys = np.stack([picture] * 4)
    walking = inputs.InputLog(events=(key(0, 87), key(3000, 87, down=False)))
    for log, is_menu in ((walking, False), (inputs.InputLog(), True)):
        [found] = find_stretches(greys, [0, 1000, 2000, 3000], log)
        assert found.is_menu is is_menu


def test_enough_lines_of_text_make_a_menu() -> None:
    greys = np.stack([scene()] * 3)
    for lines, is_menu in ((menus.MIN_TEXT_LINES, True), (menus.MIN_TEXT_LINES - 1, False)):
        [found] = find_stretches(greys, [0, 1, 2], inputs.InputLog(), {0: lines}.__getitem__)
        assert found.is_menu is is_menu


@given(st.integers(0, 40), st.integers(0, 40), st.integers(60, 120), st.integers(60, 120))
def test_the_rectangle_of_the_content_is_exact(left: int, top: int, wide: int, high: int) -> None:
    greys = np.full((3, 180, 320), 8, np.uint8)
    greys[:, top : top + high, left : left + wide] = NOISE.integers(30, 255, (3, high, wide))
    assert pictures.find_content(greys) == (left, top, left + wide, top + high)


def test_the_content_of_a_dark_recording_is_distinguished_from_its_bars() -> None:
    greys = np.zeros((3, 180, 320), np.uint8)
    greys[:, 20:160] = NOISE.integers(4, 24, (3, 140, 320))
    assert pictures.find_content(greys) == (0, 20, 320, 160)
    assert pictures.find_content(np.zeros((2, 18, 32), np.uint8)) is None


def test_grey_is_the_weighted_mean_of_the_colours() -> None:
    frames = NOISE.integers(0, 255, (2, 3, 18, 32)).astype(np.uint8)
    weights = np.array([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    assert np.abs(pictures.to_grey(frames) - (frames * weights).sum(axis=1)).max() <= 1.5


def test_a_change_of_one_block_counts_and_coding_noise_does_not() -> None:
    still = np.full((3, 64, 96), 100, np.uint8)
    still[1] += 1
    still[2, 16:32, 32:48] += 40
    noisy, moved = pictures.measure_changes(still)
    assert noisy <= pictures.MAX_STILL_CHANGE < moved


def test_any_json_in_an_input_line_gives_finite_numbers() -> None:
    for arguments in (
        "[]",
        "{}",
        "[[1]]",
        '"x"',
        "[1e999,NaN]",
        "[true]",
        "not json",
        "[" * 9999,
        f"[1{'0' * 400}]",
    ):
        log = inputs.parse_inputs(inputs_csv([(1.0, "KEYBOARD", arguments)]))
        [event] = log.pressed
        assert np.isfinite([event.first, event.second]).all(), json.dumps(arguments)


def test_a_cursor_in_a_bar_is_not_content_and_a_clock_is_not_movement() -> None:
    greys = np.full((30, 180, 320), 4, np.uint8)
    greys[:, 20:160] = NOISE.integers(30, 255, (140, 320))
    for index, frame in enumerate(greys):
        frame[2:14, index * 10 : index * 10 + 8] = 255
    assert pictures.find_content(greys) == (0, 20, 320, 160)
    greys[::2, 30:36, 280:300] = 255
    greys[1::2, 30:36, 280:300] = 0
    assert pictures.measure_changes(greys[:, 20:160]).max() <= pictures.MAX_STILL_CHANGE


def test_borders_that_are_not_black_are_found_by_movement() -> None:
    greys = np.full((20, 180, 320), 90, np.uint8)
    greys[:, :120, :240] = NOISE.integers(30, 255, (20, 120, 240))
    found = pictures.find_moving(greys)
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, (0, 0, 240, 120), strict=True)) <= 2
    greys[:, :120, :240] = 70
    greys[:, 10:20, 10:40] = NOISE.integers(30, 255, (20, 10, 30))
    assert pictures.find_moving(greys) is None


def test_a_panel_that_is_always_on_the_screen_is_not_a_menu() -> None:
    greys = np.stack([scene() for _ in range(6)])
    greys[:, 40:140, 100:220] = 51
    assert not any(
        stretch.is_menu for stretch in find_stretches(greys, range(6), inputs.InputLog())
    )


def test_a_key_that_goes_down_and_up_within_a_millisecond_is_not_held() -> None:
    log = inputs.parse_inputs(
        inputs_csv([(2.0001, "KEYBOARD", "[87,true]"), (2.0003, "KEYBOARD", "[87,false]")])
    )
    assert list(inputs.held_spans(log.pressed, frozenset({87}), 60_000)) == [(2000, 2000)]
