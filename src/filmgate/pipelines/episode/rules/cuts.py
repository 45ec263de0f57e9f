"""Where a film is cut: decided on measured changes and presentation times, no file in sight.

The rule and its thresholds come from measurements on known clips and on two sets of composed
ones, told in docs/decisions/0004-cuts.md.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.media.change import FrameChanges

Ms = Annotated[int, Field(ge=0)]


class CutSettings(Settings):
    """What makes a change a cut."""

    min_content: Annotated[float, Field(gt=0, le=255)] = 17.0
    """Least content change. Lowest true cut measured 23.2, highest other change 14.7."""
    min_ratio: Annotated[float, Field(ge=1)] = 2.0
    """How far the change stands out from its neighbours. True cuts 2.2 and up, motion to 1.8."""
    neighbours_ms: Ms = 200
    """Which neighbours: all within this time, and two each side where frames come slowly."""
    min_bridge: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How unlike before and after must be. Cuts 0.94 and up, flashes 0.07 and less."""
    flash_ms: Ms = 150
    """A picture that is back within this time was only lit up."""
    min_scene_ms: Ms = 500
    """Of two cuts closer together than this, the one that stands out more is kept."""
    min_black_ms: Ms = 750
    """Black for this long between two fades parts two scenes, where the picture comes back."""
    black_luma: Annotated[float, Field(ge=0, le=255)] = 8.0
    """Mean brightness up to which a frame is black."""


class Cut(NamedTuple):
    """The first frame of a new scene."""

    entry: int
    """Its entry in the changes."""
    method: str
    """`cut`, or `black` where a held black parts two scenes."""
    score: float | None
    """Its content change; None for `black`, where no change was measured."""
    strength: float
    """How far it stands out: what decides between two that are too close."""


NEIGHBOURS = 2
"""Frames on each side that are looked at also where frames come slowly."""


def find_cuts(changes: FrameChanges, settings: CutSettings) -> list[Cut]:
    """All cuts, in order, none closer together than `min_scene_ms`."""
    hard = list(_hard_cuts(changes, settings))
    black = [
        Cut(entry=end, method="black", score=None, strength=1.0)
        for start, end in _held_black(changes, settings)
        if not any(_is_near(changes, cut.entry, start, end) for cut in hard)
    ]
    kept: list[Cut] = []
    for cut in sorted(hard + black):
        if kept and changes.ms[cut.entry] - changes.ms[kept[-1].entry] < settings.min_scene_ms:
            kept[-1] = max(kept[-1], cut, key=lambda each: each.strength)
        else:
            kept.append(cut)
    return kept


def _hard_cuts(changes: FrameChanges, settings: CutSettings) -> Iterator[Cut]:
    """Great changes that stand out from their neighbours and do not lead back."""
    for index in range(1, len(changes.ms)):
        content = changes.content[index]
        if content < settings.min_content or changes.bridge[index] < settings.min_bridge:
            continue
        strength = changes.step[index] / max([1.0, *_neighbours(changes, index, settings)])
        if strength >= settings.min_ratio:
            yield Cut(entry=index, method="cut", score=round(content, 3), strength=strength)


def _neighbours(changes: FrameChanges, index: int, settings: CutSettings) -> Iterator[float]:
    """The steps before and after a frame. The first frame has none and is no neighbour."""
    here = changes.ms[index]
    for way, end in ((-1, 0), (1, len(changes.ms))):
        for other in range(index + way, end, way):
            away_ms = abs(changes.ms[other] - here)
            is_one_of_two = abs(other - index) <= NEIGHBOURS
            if away_ms > (settings.min_scene_ms if is_one_of_two else settings.neighbours_ms):
                break
            yield changes.step[other]


def _held_black(changes: FrameChanges, settings: CutSettings) -> Iterator[tuple[int, int]]:
    """(last frame before, first frame after) of every long black with pictures on both sides."""
    start = None
    for index, luma in enumerate(changes.luma):
        if luma <= settings.black_luma:
            start = index if start is None else start
        elif start is not None:
            first, end = _darkest(changes, start, index)
            held = changes.ms[end] - changes.ms[first]
            if start > 0 and held >= settings.min_black_ms:
                yield start - 1, end
            start = None


def _darkest(changes: FrameChanges, start: int, end: int) -> tuple[int, int]:
    """The black without the last steps of the fades into and out of it: [first, end)."""
    floor = min(changes.luma[start:end]) + 1.0
    dark = [index for index in range(start, end) if changes.luma[index] <= floor]
    return dark[0], dark[-1] + 1


def _is_near(changes: FrameChanges, cut: int, start: int, end: int) -> bool:
    """Whether a hard cut leads into or out of the black: then it is the boundary."""
    slack = 100
    return changes.ms[start] - slack <= changes.ms[cut] <= changes.ms[end] + slack
