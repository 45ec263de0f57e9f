"""When to read the picture, and how readings become spans of time.

Reading is dear (a tenth of a second and more), looking is cheap. So a frame is read when the last
reading is old and the picture has changed since, or when text that was read has changed in its
place; a line that stays is one span, which ends on the very frame where its place changes.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.core.providers import Landmarks, Line
from filmgate.media.boxes import Box

if TYPE_CHECKING:
    from filmgate.core.providers import Image


class ReadSettings(Settings):
    """When frames are read, and what is believed."""

    period_ms: Annotated[int, Field(ge=1)] = 1000
    """How often a moving picture is read where no text is known."""
    burst: Annotated[int, Field(ge=1)] = 40
    """How many readings may follow each other where text keeps changing (a counter, a crawl);
    they come back one each `period_ms`."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Of a line. Patterns that are no text are read too, less surely: 0.5 to 0.7 on a cartoon."""
    min_change: Annotated[float, Field(ge=0)] = 12.0
    """Grey levels, mean over a cell, by which a picture or a line has changed."""
    same_text: Annotated[float, Field(ge=0, le=1)] = 0.8
    """How alike two readings in one place are of one line (Ratcliff and Obershelp)."""


class Small(NamedTuple):
    """A frame, small and grey, to see whether something changed."""

    number: int
    start_ms: int
    end_ms: int
    grey: "Image"


@dataclass
class Shown:
    """A line of text while it stands."""

    text: str
    confidence: float
    corners: Landmarks
    """In pixels of the picture that was read."""
    box: Box
    """In shares of the picture."""
    frame_number: int
    start_ms: int
    end_ms: int


SAME_PLACE = 0.3
"""Least overlap of two readings of one line."""

WASTE = 3
"""What a reading costs besides that told nothing new."""


def block_change(one: "Image", other: "Image", box: Box | None = None) -> float:
    """The greatest mean change of a cell of 8 × 8 pixels, in grey levels; inside a box given in
    shares of the picture, or anywhere."""
    import cv2  # heavy
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
class Reading:
    """Decides frame by frame whether to read, and keeps the lines that stand."""

    settings: ReadSettings
    standing: list[Shown] = field(default_factory=list)
    _last: "Small | None" = None
    """The frame that was read last."""
    _since: "deque[Small]" = field(default_factory=deque)
    """Frames after it, for finding where a new line began."""
    _budget: "Budget | None" = None

    def is_due(self, small: Small, *, is_cut: bool) -> bool:
        """Whether this frame should be read."""
        if self._last is None or self._budget is None:
            self._budget = Budget(self.settings.burst, self.settings.period_ms, small.start_ms)
            return True
        is_old = small.start_ms - self._last.start_ms >= self.settings.period_ms
        if is_cut or is_old:
            return self._has_changed(self._last, small)
        is_other = any(self._is_other(small, line) for line in self.standing)
        return is_other and self._budget.spend(small.start_ms)

    def pass_over(self, small: Small) -> None:
        """A frame that is not read."""
        for line in self.standing:
            if not self._is_other(small, line):
                line.end_ms = small.end_ms
        self._since.append(small)
        while small.start_ms - self._since[0].start_ms > 2 * self.settings.period_ms:
            self._since.popleft()

    def read(self, small: Small, lines: Iterable[Line], size: tuple[int, int]) -> list[Shown]:
        """A frame that was read, of (width, height) pixels; the lines that ended before it.

        A line that is read again goes on, whatever moved before it in between; one that is not
        ended where its place last looked as it was read.
        """
        before, self.standing = self.standing, []
        has_news = False
        for line in lines:
            if line.confidence < self.settings.min_confidence or not line.text:
                continue
            new = _shown(line, small, size)
            same = next((old for old in before if self._is_same(old, new)), None)
            if same is None:
                has_news = True
                new.start_ms = self._began(small, new)
                self.standing.append(new)
            else:
                before.remove(same)
                self.standing.append(_continued(same, new))
        if self._budget is not None and not has_news and not before:
            self._budget.regret()
        self._last = small
        self._since.clear()
        return before

    def _has_changed(self, one: Small, other: Small) -> bool:
        return block_change(one.grey, other.grey) >= self.settings.min_change

    def _is_other(self, small: Small, line: Shown) -> bool:
        """Whether a line's place looks otherwise than when it was read."""
        assert self._last is not None
        change = block_change(self._last.grey, small.grey, line.box)
        return change >= self.settings.min_change

    def _is_same(self, old: Shown, new: Shown) -> bool:
        """Whether two readings are of one line: alike, in one place, and with the same digits,
        which tell counters and clocks from flicker."""
        likeness = SequenceMatcher(None, old.text, new.text, autojunk=False).ratio()
        digits = [c for c in old.text if c.isdigit()] == [c for c in new.text if c.isdigit()]
        in_place = old.box.iou(new.box) >= SAME_PLACE
        return likeness >= self.settings.same_text and digits and in_place

    def _began(self, small: Small, line: Shown) -> int:
        """When a line that is new appeared: back to where its place looked otherwise."""
        start_ms = small.start_ms
        for earlier in reversed(self._since):
            change = block_change(earlier.grey, small.grey, line.box)
            if change >= self.settings.min_change:
                break
            start_ms = earlier.start_ms
        return start_ms


@dataclass
class Budget:
    """Readings that may be spent on lines that change, coming back with time."""

    burst: int
    period_ms: int
    _at_ms: int
    _left: float = 0.0

    def __post_init__(self) -> None:
        self._left = float(self.burst)

    def spend(self, at_ms: int) -> bool:
        """Take one, where one is left."""
        self._left = min(self.burst, self._left + (at_ms - self._at_ms) / self.period_ms)
        self._at_ms = at_ms
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def regret(self) -> None:
        """A reading told nothing new: what moved was not the text. Be slower to read again."""
        self._left = max(0.0, self._left - WASTE)


def _shown(line: Line, small: Small, size: tuple[int, int]) -> Shown:
    width, height = size
    xs = [x / width for x, _ in line.corners]
    ys = [y / height for _, y in line.corners]
    return Shown(
        text=line.text,
        confidence=line.confidence,
        corners=line.corners,
        box=Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)),
        frame_number=small.number,
        start_ms=small.start_ms,
        end_ms=small.end_ms,
    )


def _continued(old: Shown, new: Shown) -> Shown:
    """One line, as it was read best."""
    best = new if new.confidence > old.confidence else old
    return replace(best, box=new.box, start_ms=old.start_ms, end_ms=new.end_ms)
