"""Text reading: when to run OCR on a frame, and how readings become spans.

OCR is expensive (0.1 s and more per frame), comparing frames is cheap. A frame is read if the last
reading is old and the picture has changed since, or if the area of a text line has changed. A line
that stays is one span; it ends at the exact frame where its area changes.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.core.providers import Landmarks, TextLine
from filmgate.media.boxes import Box

if TYPE_CHECKING:
    from filmgate.core.providers import Image


class ReadingSettings(Settings):
    """When frames are read, and which readings are accepted."""

    period_ms: Annotated[int, Field(ge=1)] = 1000
    """Minimum time between a reading and the next one of a changed picture in which no known line
    changed."""
    burst: Annotated[int, Field(ge=1)] = 40
    """Maximum number of readings in a row while text keeps changing, as in a counter or a crawl.
    One more reading becomes available every `period_ms`."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Minimum confidence of a line. Patterns that are not text are read with a lower confidence:
    0.5 to 0.7 on a cartoon."""
    min_change: Annotated[float, Field(ge=0)] = 12.0
    """Minimum change from which a picture or a line counts as changed: the mean change of a cell of
    8 × 8 pixels, in grey levels."""
    same_text: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Minimum similarity of two readings of the same line (Ratcliff and Obershelp)."""


class SmallFrame(NamedTuple):
    """A small grey copy of a frame, for detecting changes."""

    number: int
    start_ms: int
    end_ms: int
    grey: "Image"


@dataclass
class ShownLine:
    """A line of text while it is shown."""

    text: str
    confidence: float
    corners: Landmarks
    """Corners in pixels of the picture that was read."""
    box: Box
    """Bounding box as shares of the picture's width and height, 0 to 1."""
    frame_number: int
    start_ms: int
    end_ms: int


MIN_LINE_IOU = 0.3
"""Minimum overlap (intersection over union) of two readings of the same line."""

NO_NEWS_PENALTY = 3
"""Number of readings that are charged in addition for a reading that found nothing new."""


def measure_block_change(one: "Image", other: "Image", box: Box | None = None) -> float:
    """Measure the greatest mean change of a cell of 8 × 8 pixels, in grey levels.

    `box`: the area to compare, as shares of the picture; by default all of it.
    """
    import cv2  # slow to import
    import numpy as np

    height, width = one.shape
    if box is not None:
        left, top = int(box.x * width), int(box.y * height)
        right = max(left + 1, min(width, int(np.ceil((box.x + box.width) * width))))
        bottom = max(top + 1, min(height, int(np.ceil((box.y + box.height) * height))))
        one, other = one[top:bottom, left:right], other[top:bottom, left:right]
        if one.size == 0:
            return 0.0
    difference = cv2.absdiff(one, other)
    cells = (max(1, difference.shape[1] // 8), max(1, difference.shape[0] // 8))
    return float(cv2.resize(difference, cells, interpolation=cv2.INTER_AREA).max())


@dataclass
class TextTracker:
    """Decides frame by frame whether to read, and tracks the lines that are shown."""

    settings: ReadingSettings
    current_lines: list[ShownLine] = field(default_factory=list)
    _last_read: "SmallFrame | None" = None
    """The last frame that was read."""
    _frames_since: "deque[SmallFrame]" = field(default_factory=deque)
    """Frames since the last reading, for finding where a new line began."""
    _budget: "ReadingBudget | None" = None

    def should_read(self, frame: SmallFrame, *, is_cut: bool) -> bool:
        """Whether this frame should be read."""
        if self._last_read is None or self._budget is None:
            self._budget = ReadingBudget(
                self.settings.burst, self.settings.period_ms, frame.start_ms
            )
            return True
        is_old = frame.start_ms - self._last_read.start_ms >= self.settings.period_ms
        if is_cut or is_old:
            return self._has_changed(self._last_read, frame)
        has_changed_line = any(self._has_line_changed(frame, line) for line in self.current_lines)
        return has_changed_line and self._budget.spend(frame.start_ms)

    def skip_frame(self, frame: SmallFrame) -> None:
        """Record a frame that is not read."""
        for line in self.current_lines:
            if not self._has_line_changed(frame, line):
                line.end_ms = frame.end_ms
        self._frames_since.append(frame)
        while frame.start_ms - self._frames_since[0].start_ms > 2 * self.settings.period_ms:
            self._frames_since.popleft()

    def add_reading(
        self, frame: SmallFrame, lines: Iterable[TextLine], size: tuple[int, int]
    ) -> list[ShownLine]:
        """Record the lines read in a frame; return the lines that ended before it.

        `size`: (width, height) of the frame that was read, in pixels. A line that is read again
        continues, even if something covered it in between. Any other line ended at the last
        frame in which its area was unchanged.
        """
        unmatched, self.current_lines = self.current_lines, []
        has_new_line = False
        for line in lines:
            if line.confidence < self.settings.min_confidence or not line.text:
                continue
            new = _shown_line(line, frame, size)
            same = next((old for old in unmatched if self._is_same(old, new)), None)
            if same is None:
                has_new_line = True
                new.start_ms = self._find_start_ms(frame, new)
                self.current_lines.append(new)
            else:
                unmatched.remove(same)
                self.current_lines.append(_merge_readings(same, new))
        if self._budget is not None and not has_new_line and not unmatched:
            self._budget.penalise()
        self._last_read = frame
        self._frames_since.clear()
        return unmatched

    def _has_changed(self, one: SmallFrame, other: SmallFrame) -> bool:
        return measure_block_change(one.grey, other.grey) >= self.settings.min_change

    def _has_line_changed(self, frame: SmallFrame, line: ShownLine) -> bool:
        """Whether the area of a line has changed since it was read."""
        assert self._last_read is not None
        change = measure_block_change(self._last_read.grey, frame.grey, line.box)
        return change >= self.settings.min_change

    def _is_same(self, old: ShownLine, new: ShownLine) -> bool:
        """Whether two readings are of the same line: similar text, same place, same digits.

        The digits distinguish counters and clocks from noise.
        """
        similarity = SequenceMatcher(None, old.text, new.text, autojunk=False).ratio()
        has_same_digits = [c for c in old.text if c.isdigit()] == [
            c for c in new.text if c.isdigit()
        ]
        is_same_place = old.box.iou(new.box) >= MIN_LINE_IOU
        return similarity >= self.settings.same_text and has_same_digits and is_same_place

    def _find_start_ms(self, frame: SmallFrame, line: ShownLine) -> int:
        """Find when a new line appeared: the first frame since which its area is unchanged."""
        start_ms = frame.start_ms
        for earlier in reversed(self._frames_since):
            change = measure_block_change(earlier.grey, frame.grey, line.box)
            if change >= self.settings.min_change:
                break
            start_ms = earlier.start_ms
        return start_ms


@dataclass
class ReadingBudget:
    """Budget of readings for lines that change; it refills with time."""

    burst: int
    period_ms: int
    _updated_ms: int
    _available: float = 0.0

    def __post_init__(self) -> None:
        self._available = float(self.burst)

    def spend(self, at_ms: int) -> bool:
        """Use one reading; False if none is available."""
        self._available = min(
            self.burst, self._available + (at_ms - self._updated_ms) / self.period_ms
        )
        self._updated_ms = at_ms
        if self._available < 1:
            return False
        self._available -= 1
        return True

    def penalise(self) -> None:
        """Charge extra for a reading without a new text: what changed was not text."""
        self._available = max(0.0, self._available - NO_NEWS_PENALTY)


def _shown_line(line: TextLine, frame: SmallFrame, size: tuple[int, int]) -> ShownLine:
    width, height = size
    xs = [x / width for x, _ in line.corners]
    ys = [y / height for _, y in line.corners]
    return ShownLine(
        text=line.text,
        confidence=line.confidence,
        corners=line.corners,
        box=Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)),
        frame_number=frame.number,
        start_ms=frame.start_ms,
        end_ms=frame.end_ms,
    )


def _merge_readings(old: ShownLine, new: ShownLine) -> ShownLine:
    """Merge two readings of one line: the more confident text, the newer box, the whole span."""
    best = new if new.confidence > old.confidence else old
    return replace(best, box=new.box, start_ms=old.start_ms, end_ms=new.end_ms)
