"""A session for checks: the extracted data, and measurements that several checks share."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from filmgate.core.sampling import STRIDE, UNIFORM
from filmgate.pipelines.gameplay.extracted import ExtractedFile
from filmgate.pipelines.gameplay.rules.menus import ReadLines, Stretch, find_stretches
from filmgate.pipelines.gameplay.rules.pictures import (
    Rectangle,
    crop,
    find_content,
    find_moving,
    measure_changes,
    to_grey,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Grey = NDArray[np.uint8]

UNIFORM_PREFIX = UNIFORM.partition("{")[0]


class GameSession:
    """One recorded session. Data are read on first use and computed once."""

    def __init__(
        self,
        extracted: ExtractedFile,
        *,
        menu_flag_threshold: float,
        read_lines: ReadLines | None = None,
    ) -> None:
        self.extracted = extracted
        self.menu_flag_threshold = menu_flag_threshold
        self._read_lines = read_lines
        self._stretches: dict[str, list[Stretch]] = {}

    @cached_property
    def main_series(self) -> str:
        """Name of the series that covers the whole video, or else of the one that ends last."""
        names = self.extracted.series
        uniform = [name for name in names if name.startswith(UNIFORM_PREFIX)]
        return uniform[0] if uniform else max(names, key=self._last_time)

    def stride_series(self, stride: int) -> str:
        """Name of the series of every `stride`-th frame; KeyError if it was not sampled."""
        name = STRIDE.format(stride=stride)
        if name not in self.extracted.series:
            raise KeyError(f"the series {name} was not sampled")
        return name

    @cached_property
    def greys(self) -> "Grey":
        """(n, h, w) uint8: brightness of the frames of the main series."""
        return to_grey(self.extracted.frames(self.main_series))

    @property
    def times_ms(self) -> list[int]:
        """Presentation time of each frame of the main series."""
        return self.extracted.times_ms(self.main_series)

    @cached_property
    def content(self) -> Rectangle:
        """The rectangle with content; the whole picture if none has content."""
        height, width = self.greys.shape[1:]
        return find_content(self.greys) or Rectangle(0, 0, width, height)

    @cached_property
    def moving(self) -> Rectangle:
        """The rectangle in which the picture moves; the content if no such rectangle exists."""
        return find_moving(self.greys) or self.content

    @cached_property
    def changes(self) -> "NDArray[np.float64]":
        """(n - 1,): change from each frame of the main series to the next, within the content."""
        return measure_changes(crop(self.greys, self.content))

    @cached_property
    def duration_ms(self) -> int:
        """Time from the first frame to the end of the last one.

        The last frame is assumed to last as long as the median frame.
        """
        import numpy as np  # slow to import

        pts = self.extracted.pts
        steps = np.diff(pts)
        last = int(np.median(steps)) if len(steps) else 0
        return round(float((int(pts[-1]) - int(pts[0]) + last) * self.extracted.time_base * 1000))

    def stretches(self, series: str | None = None) -> list[Stretch]:
        """Find the stretches of a series, by default the main one, and which of them are menus."""
        name = series or self.main_series
        if name not in self._stretches:
            frames = self.extracted.frames(name)
            greys = self.greys if name == self.main_series else to_grey(frames)
            rectangle = find_content(greys) or Rectangle(0, 0, greys.shape[2], greys.shape[1])
            self._stretches[name] = find_stretches(
                crop(frames, rectangle),
                crop(greys, rectangle),
                self.extracted.times_ms(name),
                self.extracted.inputs,
                self._line_counter(name),
            )
        return self._stretches[name]

    def _line_counter(self, series: str) -> Callable[[int], int] | None:
        read = self._read_lines
        if read is None:
            return None
        return lambda index: read(self.extracted.frames(series, slice(index, index + 1))[0])

    def _last_time(self, name: str) -> list[int]:
        return self.extracted.times_ms(name)[-1:] or [0]
