"""A session as checks see it: what was extracted, and what several of them compute from it."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from filmgate.core.gameplay import STRIDE, UNIFORM
from filmgate.pipelines.gameplay.extracted import Extracted
from filmgate.pipelines.gameplay.rules.menus import ReadLines, Stretch, stretches
from filmgate.pipelines.gameplay.rules.pictures import (
    Rectangle,
    changes,
    content,
    grey,
    moving,
    within,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Grey = NDArray[np.uint8]

UNIFORM_PREFIX = UNIFORM.partition("{")[0]


class Session:
    """One video. Whatever is asked for is read then, and computed once."""

    def __init__(
        self,
        extracted: Extracted,
        *,
        menu_flag_threshold: float,
        read_lines: ReadLines | None = None,
    ) -> None:
        self.extracted = extracted
        self.menu_flag_threshold = menu_flag_threshold
        self._read_lines = read_lines
        self._menus: dict[str, list[Stretch]] = {}

    @cached_property
    def spread(self) -> str:
        """The series that covers the whole video; where there is none, the one that reaches
        furthest."""
        names = self.extracted.series
        over_all = [name for name in names if name.startswith(UNIFORM_PREFIX)]
        return over_all[0] if over_all else max(names, key=self._reach)

    def stride(self, stride: int) -> str:
        """The series of every so-manyth frame; KeyError where it was not sampled."""
        name = STRIDE.format(stride=stride)
        if name not in self.extracted.series:
            raise KeyError(f"no {name} was sampled")
        return name

    @cached_property
    def greys(self) -> "Grey":
        """(n, h, w) uint8: the brightness of the frames that cover the whole video."""
        return grey(self.extracted.frames(self.spread))

    @property
    def times_ms(self) -> list[int]:
        """When each of them is shown."""
        return self.extracted.times_ms(self.spread)

    @cached_property
    def content(self) -> Rectangle:
        """The rectangle in which something is ever shown; all of it where nothing is."""
        height, width = self.greys.shape[1:]
        return content(self.greys) or Rectangle(0, 0, width, height)

    @cached_property
    def moving(self) -> Rectangle:
        """The rectangle in which the picture moves, within the content; all of that where it is
        no one rectangle."""
        return moving(self.greys) or self.content

    @cached_property
    def changes(self) -> "NDArray[np.float64]":
        """How much the picture changes from each of these frames to the next, where most."""
        return changes(within(self.greys, self.content))

    @cached_property
    def duration_ms(self) -> int:
        """From the first frame to where the last stops being shown, taken to last as long as
        frames usually do."""
        import numpy as np  # heavy

        pts = self.extracted.pts
        steps = np.diff(pts)
        last = int(np.median(steps)) if len(steps) else 0
        return round(float((int(pts[-1]) - int(pts[0]) + last) * self.extracted.time_base * 1000))

    def stretches(self, series: str | None = None) -> list[Stretch]:
        """What the frames of a series show, and which of it are menus; by default, of the whole
        video."""
        name = series or self.spread
        if name not in self._menus:
            frames = self.extracted.frames(name)
            greys = self.greys if name == self.spread else grey(frames)
            rectangle = content(greys) or Rectangle(0, 0, greys.shape[2], greys.shape[1])
            self._menus[name] = stretches(
                within(frames, rectangle),
                within(greys, rectangle),
                self.extracted.times_ms(name),
                self.extracted.inputs,
                self._lines_in(name),
            )
        return self._menus[name]

    def _lines_in(self, series: str) -> Callable[[int], int] | None:
        read = self._read_lines
        if read is None:
            return None
        return lambda place: read(self.extracted.frames(series, slice(place, place + 1))[0])

    def _reach(self, name: str) -> Any:
        return self.extracted.times_ms(name)[-1:] or [0]
