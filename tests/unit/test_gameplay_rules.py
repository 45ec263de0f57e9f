"""The rules about game sessions, on values alone."""

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
from filmgate.core.gameplay import Task
from filmgate.pipelines.gameplay.rules import inputs, menus, pictures
from filmgate.pipelines.gameplay.rules.members import samples
from filmgate.pipelines.gameplay.rules.tasks import check_key, tasks
from filmgate.tools.demo_sessions import inputs_csv
from filmgate.tools.tars import Member


def reason(error: FilmgateError) -> str:
    return str(error.extra["reason"])


def test_a_task_list_has_each_key_once_in_order_without_comments() -> None:
    listed = b"\xef\xbb\xbf# all\n b/2.tar \n\na.tar # the first\nb/2.tar\r\n\tc#1.tar\n"
    assert [task.key for task in tasks(listed)] == ["a.tar", "b/2.tar", "c#1.tar"]


@pytest.mark.parametrize("data", [b"", b"# nothing\n\n", b"\xff\xfe\x00"])
def test_a_list_that_names_nothing_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match="task list"):
        tasks(data)


@pytest.mark.parametrize(
    "key", ["../a.tar", "/etc/a.tar", "a//b.tar", "a.zip", "a/./b.tar", "s3://b/a.tar", "a\\b.tar"]
)
def test_a_key_that_leads_elsewhere_is_refused_by_name(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_key(Task(key=key))
    assert reason(refused.value) == "bad_key"


def test_inputs_are_on_the_time_line_of_the_video_and_quotes_need_not_be_doubled() -> None:
    log = inputs.parse(
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
def test_any_bytes_are_an_input_log_with_finite_numbers(data: bytes) -> None:
    log = inputs.parse(b"timestamp,event_type,event_args\n" + data)
    assert all(np.isfinite([e.time_ms, e.first, e.second]).all() for e in log.events)


@given(st.lists(st.tuples(st.integers(0, 500), st.booleans(), st.sampled_from([65, 87]))))
def test_the_times_in_which_keys_are_held_lie_apart_and_in_order(
    presses: list[tuple[int, bool, int]],
) -> None:
    events = [
        inputs.Event(at, inputs.KEYBOARD, float(code), float(down))
        for at, down, code in sorted(presses)
    ]
    spans = list(inputs.held(events, frozenset({65, 87}), 500))
    assert all(begin <= end for begin, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def members(*names: str) -> list[Member]:
    return [Member(name, 512, 10) for name in names]


def test_a_session_is_one_video_with_what_lies_beside_it() -> None:
    [found] = samples(members("x/rec.mp4", "x/inputs.csv", "x/metadata.json"), strict=True)
    assert (found.name, found.video.name) == (None, "x/rec.mp4")
    assert found.inputs is not None


def test_samples_are_videos_with_metadata_of_their_own_name() -> None:
    found = samples(members("0.mp4", "0.json", "1.mp4", "1.json", "1.csv", "0.txt"), strict=False)
    assert [(each.name, len(each.members)) for each in found] == [("0", 2), ("1", 3)]


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
def test_what_is_no_session_is_refused_by_name(
    names: Sequence[str], strict: bool, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        samples(members(*names), strict=strict)
    assert reason(refused.value) == code


NOISE = np.random.default_rng(7)


def scene(shade: int = 120, spread: int = 60) -> NDArray[np.uint8]:
    """A picture with something in every part of it."""
    return NOISE.integers(shade - spread, shade + spread, (180, 320)).astype(np.uint8)


def coloured(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(3, h, w) of (h, w)."""
    return np.repeat(grey[None], 3, axis=0)


def stretches(
    greys: NDArray[np.uint8], times_ms: Sequence[int], log: inputs.Inputs, *more: Any
) -> list[menus.Stretch]:
    frames = np.repeat(greys[:, None], 3, axis=1)
    return menus.stretches(frames, greys, times_ms, log, *more)


def test_a_panel_is_told_from_a_scene_by_its_colour_where_brightness_does_not() -> None:
    picture = coloured(np.full((180, 320), 90, np.uint8))
    picture[:, 40:140, 100:220] = np.array([30, 120, 85]).reshape(3, 1, 1)
    found = menus.panel(picture)
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, (100, 40, 220, 140), strict=True)) <= 2


def test_a_panel_is_found_with_its_place_and_a_scene_has_none() -> None:
    picture = scene()
    assert menus.panel(coloured(picture)) is None
    picture[40:140, 100:220] = 51
    found = menus.panel(coloured(picture))
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, (100, 40, 220, 140), strict=True)) <= 2


def test_flat_sky_and_bars_at_the_side_are_no_panels() -> None:
    picture = scene()
    picture[:60] = 180
    assert menus.panel(coloured(picture)) is None
    picture[:, :80] = 10
    assert menus.panel(coloured(picture)) is None


def key(at: int, code: int, *, down: bool = True) -> inputs.Event:
    return inputs.Event(at, inputs.KEYBOARD, float(code), float(down))


def test_a_picture_that_darkens_when_a_key_for_menus_is_pressed_is_a_menu() -> None:
    bright = scene()
    dark = (bright * 0.4).astype(np.uint8)
    greys = np.stack([bright, bright, dark, dark, bright])
    times = [0, 1000, 2000, 3000, 4000]
    pressed = inputs.Inputs(events=(key(1900, 27),))
    for log, wanted in ((pressed, [2, 3]), (inputs.Inputs(), [])):
        found = stretches(greys, times, log)
        assert [place for each in found if each.is_menu for place in each.places] == wanted


def test_a_screen_that_stands_still_since_a_key_for_menus_is_a_menu_and_else_is_none() -> None:
    screen = scene()
    greys = np.stack([scene(), scene(), screen, screen, screen, scene()])
    for log, wanted in ((inputs.Inputs(events=(key(1900, 27),)), [2, 3, 4]), (inputs.Inputs(), [])):
        found = stretches(greys, range(0, 6000, 1000), log)
        assert [place for each in found if each.is_menu for place in each.places] == wanted


def test_who_walks_is_in_no_menu_whatever_is_on_the_screen() -> None:
    picture = scene()
    picture[40:140, 100:220] = 51
    greys = np.stack([picture] * 4)
    walking = inputs.Inputs(events=(key(0, 87), key(3000, 87, down=False)))
    for log, is_menu in ((walking, False), (inputs.Inputs(), True)):
        [found] = stretches(greys, [0, 1000, 2000, 3000], log)
        assert found.is_menu is is_menu


def test_text_makes_a_menu_where_it_is_read() -> None:
    greys = np.stack([scene()] * 3)
    for lines, is_menu in ((menus.LINES, True), (menus.LINES - 1, False)):
        [found] = stretches(greys, [0, 1, 2], inputs.Inputs(), {0: lines}.__getitem__)
        assert found.is_menu is is_menu


@given(st.integers(0, 40), st.integers(0, 40), st.integers(60, 120), st.integers(60, 120))
def test_the_content_of_a_picture_is_where_it_was_put(
    left: int, top: int, wide: int, high: int
) -> None:
    greys = np.full((3, 180, 320), 8, np.uint8)
    greys[:, top : top + high, left : left + wide] = NOISE.integers(30, 255, (3, high, wide))
    assert pictures.content(greys) == (left, top, left + wide, top + high)


def test_the_content_of_a_dark_recording_is_told_from_its_bars() -> None:
    greys = np.zeros((3, 180, 320), np.uint8)
    greys[:, 20:160] = NOISE.integers(4, 24, (3, 140, 320))
    assert pictures.content(greys) == (0, 20, 320, 160)
    assert pictures.content(np.zeros((2, 18, 32), np.uint8)) is None


def test_grey_is_the_weighted_mean_of_the_colours() -> None:
    frames = NOISE.integers(0, 255, (2, 3, 18, 32)).astype(np.uint8)
    weights = np.array([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    assert np.abs(pictures.grey(frames) - (frames * weights).sum(axis=1)).max() <= 1.5


def test_a_change_of_one_block_shows_and_noise_of_coding_does_not() -> None:
    still = np.full((3, 64, 96), 100, np.uint8)
    still[1] += 1
    still[2, 16:32, 32:48] += 40
    noisy, moved = pictures.changes(still)
    assert noisy <= pictures.STILL < moved


def test_json_that_an_input_line_holds_may_be_anything() -> None:
    for told in (
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
        log = inputs.parse(inputs_csv([(1.0, "KEYBOARD", told)]))
        [event] = log.pressed
        assert np.isfinite([event.first, event.second]).all(), json.dumps(told)


def test_a_cursor_in_a_bar_makes_no_picture_of_it_and_a_clock_moves_nothing() -> None:
    greys = np.full((30, 180, 320), 4, np.uint8)
    greys[:, 20:160] = NOISE.integers(30, 255, (140, 320))
    for place, frame in enumerate(greys):
        frame[2:14, place * 10 : place * 10 + 8] = 255
    assert pictures.content(greys) == (0, 20, 320, 160)
    greys[::2, 30:36, 280:300] = 255
    greys[1::2, 30:36, 280:300] = 0
    assert pictures.changes(greys[:, 20:160]).max() <= pictures.STILL


def test_borders_that_are_not_black_are_told_by_what_moves() -> None:
    greys = np.full((20, 180, 320), 90, np.uint8)
    greys[:, :120, :240] = NOISE.integers(30, 255, (20, 120, 240))
    found = pictures.moving(greys)
    assert found is not None
    assert max(abs(a - b) for a, b in zip(found, (0, 0, 240, 120), strict=True)) <= 2
    greys[:, :120, :240] = 70
    greys[:, 10:20, 10:40] = NOISE.integers(30, 255, (20, 10, 30))
    assert pictures.moving(greys) is None


def test_what_is_on_the_screen_all_along_is_no_menu() -> None:
    greys = np.stack([scene() for _ in range(6)])
    greys[:, 40:140, 100:220] = 51
    assert not any(each.is_menu for each in stretches(greys, range(6), inputs.Inputs()))


def test_a_key_that_goes_down_and_up_within_a_millisecond_is_not_held() -> None:
    log = inputs.parse(
        inputs_csv([(2.0001, "KEYBOARD", "[87,true]"), (2.0003, "KEYBOARD", "[87,false]")])
    )
    assert list(inputs.held(log.pressed, frozenset({87}), 60_000)) == [(2000, 2000)]
