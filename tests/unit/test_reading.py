"""When frames are read, and how readings become spans."""

import numpy as np

from filmgate.core.providers import Line
from filmgate.pipelines.episode.rules.reading import Reading, ReadSettings, Shown, Small

STEP_MS = 100
SIZE = (320, 180)
PLACE = ((100.0, 80.0), (220.0, 80.0), (220.0, 100.0), (100.0, 100.0))


def frame(number: int, text: str | None, *, moving: bool = False) -> Small:
    """A grey picture; text is a pattern of its own in its place; `moving`: noise around it."""
    grey = np.full((SIZE[1], SIZE[0]), 60, np.uint8)
    if moving:
        grey[:60] = np.random.default_rng(number).integers(0, 255, (60, SIZE[0]))
    if text is not None:
        seed = sum(ord(c) * (place + 1) for place, c in enumerate(text))
        pattern = np.random.default_rng(seed).integers(0, 2, (5, 30)) * 180
        grey[80:100, 100:220] = np.kron(pattern, np.ones((4, 4)))
    start = number * STEP_MS
    return Small(number, start, start + STEP_MS, grey)


def read(
    texts: list[str | None], *, moving: bool = False, **settings: int
) -> tuple[list[Shown], int]:
    """Every line with its span, and how often was read, by a reader that never errs."""
    reading = Reading(ReadSettings(**settings))
    found: list[Shown] = []
    readings = 0
    for number, text in enumerate(texts):
        small = frame(number, text, moving=moving)
        if reading.is_due(small, is_cut=number == 0):
            readings += 1
            lines = [Line(text, 0.99, PLACE)] if text else []
            found += reading.read(small, lines, SIZE)
        else:
            reading.pass_over(small)
    return found + reading.standing, readings


def spans(found: list[Shown]) -> list[tuple[str, int, int]]:
    return [(each.text, each.start_ms, each.end_ms) for each in found]


def test_a_title_is_one_span_from_the_frame_it_comes_to_the_frame_it_goes() -> None:
    found, readings = read([None] * 13 + ["THE END"] * 20 + [None] * 17)
    assert spans(found) == [("THE END", 1300, 3300)]
    assert readings <= 4


def test_a_counter_is_read_at_every_number() -> None:
    found, readings = read([f"Frame {number}" for number in range(30)])
    assert [each.text for each in found] == [f"Frame {number}" for number in range(30)]
    assert all(end - start == STEP_MS for _, start, end in spans(found))
    assert readings == 30


def test_a_caption_over_a_moving_picture_is_one_span() -> None:
    found, readings = read(["BREAKING NEWS"] * 50, moving=True)
    assert spans(found) == [("BREAKING NEWS", 0, 5000)]
    assert readings == 5


def test_a_caption_that_is_covered_for_a_moment_is_one_span_to_its_end() -> None:
    shown: list[str | None] = ["NEWS"] * 60
    shown[20] = None
    found, _ = read(shown, burst=1)
    assert spans(found)[-1][2] == 6000


def test_a_picture_that_stands_still_is_read_once() -> None:
    _, readings = read([None] * 100)
    assert readings == 1


def test_readings_of_changing_text_are_bounded() -> None:
    _, readings = read([f"Frame {number}" for number in range(100)], burst=10)
    seconds = 100 * STEP_MS / 1000
    assert (
        readings <= 10 + 2 * seconds + 1
    )  # the burst, and each second one for time, one given back


def test_what_is_read_unsurely_is_no_text() -> None:
    reading = Reading(ReadSettings())
    small = frame(0, "X")
    assert reading.is_due(small, is_cut=True)
    assert reading.read(small, [Line("X", 0.5, PLACE)], SIZE) == []
    assert reading.standing == []
