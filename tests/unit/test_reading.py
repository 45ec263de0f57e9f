"""Text reading: when frames are read, and how readings become spans."""

import numpy as np

from filmgate.core.providers import TextLine
from filmgate.pipelines.episode.rules.reading import (
    ReadingSettings,
    ShownLine,
    SmallFrame,
    TextTracker,
)

STEP_MS = 100
SIZE = (320, 180)
PLACE = ((100.0, 80.0), (220.0, 80.0), (220.0, 100.0), (100.0, 100.0))


def frame(number: int, text: str | None, *, moving: bool = False) -> SmallFrame:
    """Make a grey frame; each text is a different pattern at PLACE; `moving` adds noise above."""
    grey = np.full((SIZE[1], SIZE[0]), 60, np.uint8)
    if moving:
        grey[:60] = np.random.default_rng(number).integers(0, 255, (60, SIZE[0]))
    if text is not None:
        seed = sum(ord(c) * (place + 1) for place, c in enumerate(text))
        pattern = np.random.default_rng(seed).integers(0, 2, (5, 30)) * 180
        grey[80:100, 100:220] = np.kron(pattern, np.ones((4, 4)))
    start = number * STEP_MS
    return SmallFrame(number, start, start + STEP_MS, grey)


def read(
    texts: list[str | None], *, moving: bool = False, **settings: int
) -> tuple[list[ShownLine], int]:
    """Read frames with a reader without errors; return all lines and the number of readings."""
    tracker = TextTracker(ReadingSettings(**settings))
    found: list[ShownLine] = []
    readings = 0
    for number, text in enumerate(texts):
        small_frame = frame(number, text, moving=moving)
        if tracker.should_read(small_frame, is_cut=number == 0):
            readings += 1
            lines = [TextLine(text, 0.99, PLACE)] if text else []
            found += tracker.add_reading(small_frame, lines, SIZE)
        else:
            tracker.skip_frame(small_frame)
    return found + tracker.current_lines, readings


def spans(found: list[ShownLine]) -> list[tuple[str, int, int]]:
    return [(line.text, line.start_ms, line.end_ms) for line in found]


def test_a_title_is_one_span_from_its_first_frame_to_its_last() -> None:
    found, readings = read([None] * 13 + ["THE END"] * 20 + [None] * 17)
    assert spans(found) == [("THE END", 1300, 3300)]
    assert readings <= 4


def test_a_counter_is_read_at_every_number() -> None:
    found, readings = read([f"Frame {number}" for number in range(30)])
    assert [line.text for line in found] == [f"Frame {number}" for number in range(30)]
    assert all(end - start == STEP_MS for _, start, end in spans(found))
    assert readings == 30


def test_a_caption_over_a_moving_picture_is_one_span() -> None:
    found, readings = read(["BREAKING NEWS"] * 50, moving=True)
    assert spans(found) == [("BREAKING NEWS", 0, 5000)]
    assert readings == 5


def test_a_caption_that_is_briefly_covered_is_one_span_to_its_end() -> None:
    shown: list[str | None] = ["NEWS"] * 60
    shown[20] = None
    found, _ = read(shown, burst=1)
    assert spans(found)[-1][2] == 6000


def test_a_still_picture_is_read_once() -> None:
    _, readings = read([None] * 100)
    assert readings == 1


def test_readings_of_changing_text_are_bounded() -> None:
    _, readings = read([f"Frame {number}" for number in range(100)], burst=10)
    seconds = 100 * STEP_MS / 1000
    assert (
        readings <= 10 + 2 * seconds + 1
    )  # the burst, and each second one for time, one given back


def test_a_line_with_low_confidence_is_not_text() -> None:
    tracker = TextTracker(ReadingSettings())
    small_frame = frame(0, "X")
    assert tracker.should_read(small_frame, is_cut=True)
    assert tracker.add_reading(small_frame, [TextLine("X", 0.5, PLACE)], SIZE) == []
    assert tracker.current_lines == []
