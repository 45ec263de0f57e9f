"""Cut detection from measured frame changes and presentation times.

The rule and its thresholds come from measurements on known clips and on two sets of composed
clips, described in docs/decisions/0004-cuts.md.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.media.change import FrameChanges

Ms = Annotated[int, Field(ge=0)]


class CutSettings(Settings):
    """Thresholds from which a change between two frames is a cut."""

    min_content: Annotated[float, Field(gt=0, le=255)] = 17.0
    """Minimum content change of a cut, 0 to 255. Measured: true cuts have 23.2 or more, other
    changes 14.7 or less."""
    min_ratio: Annotated[float, Field(ge=1)] = 2.0
    """Minimum ratio of a cut's change to the largest change among neighbouring frames. Measured:
    true cuts have 2.2 or more, motion 1.8 or less."""
    neighbours_ms: Ms = 200
    """Maximum time to a neighbouring frame; at low frame rates, two frames on each side are
    neighbours even if they are farther away."""
    min_bridge: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Minimum difference between the pictures before and after a cut (`FrameChanges.bridge`).
    Measured: cuts have 0.94 or more, flashes 0.07 or less."""
    flash_ms: Ms = 150
    """A change is a flash, not a cut, if the picture before it returns within this time."""
    min_scene_ms: Ms = 500
    """Minimum time between cuts; of two that are closer, the stronger one is used."""
    min_black_ms: Ms = 750
    """Minimum duration of black between two fades for it to separate two scenes."""
    black_luma: Annotated[float, Field(ge=0, le=255)] = 8.0
    """Maximum mean brightness of a black frame, 0 to 255."""


class Cut(NamedTuple):
    """The first frame of a new scene."""

    entry: int
    """Index of the frame in `FrameChanges`."""
    method: str
    """`cut`, `black` if a long black separates two scenes, or `start` for the first scene."""
    score: float | None
    """Content change of the frame; None for `black` and `start`, which are not measured."""
    strength: float
    """Ratio of the frame's change to that of its neighbours; of two cuts that are too close, the
    one with the greater ratio is used."""


NEIGHBOURS = 2
"""Number of frames on each side that are compared even at low frame rates."""


def find_cuts(changes: FrameChanges, settings: CutSettings) -> list[Cut]:
    """Find all cuts, ordered by time, at least `min_scene_ms` apart."""
    hard = list(_hard_cuts(changes, settings))
    black = [
        Cut(entry=end, method="black", score=None, strength=1.0)
        for start, end in _held_black(changes, settings)
        if not any(_is_near(changes, cut.entry, start, end) for cut in hard)
    ]
    cuts: list[Cut] = []
    for cut in sorted(hard + black):
        if cuts and changes.ms[cut.entry] - changes.ms[cuts[-1].entry] < settings.min_scene_ms:
            cuts[-1] = max(cuts[-1], cut, key=lambda candidate: candidate.strength)
        else:
            cuts.append(cut)
    return cuts


def _hard_cuts(changes: FrameChanges, settings: CutSettings) -> Iterator[Cut]:
    """Yield large changes that exceed their neighbours and are not flashes."""
    for index in range(1, len(changes.ms)):
        content = changes.content[index]
        if content < settings.min_content or changes.bridge[index] < settings.min_bridge:
            continue
        strength = changes.step[index] / max([1.0, *_neighbours(changes, index, settings)])
        if strength >= settings.min_ratio:
            yield Cut(entry=index, method="cut", score=round(content, 3), strength=strength)


def _neighbours(changes: FrameChanges, index: int, settings: CutSettings) -> Iterator[float]:
    """Yield the changes (`FrameChanges.step`) of the frames around `index`; the first frame has
    none."""
    here_ms = changes.ms[index]
    for direction, end in ((-1, 0), (1, len(changes.ms))):
        for other in range(index + direction, end, direction):
            away_ms = abs(changes.ms[other] - here_ms)
            is_one_of_two = abs(other - index) <= NEIGHBOURS
            if away_ms > (settings.min_scene_ms if is_one_of_two else settings.neighbours_ms):
                break
            yield changes.step[other]


def _held_black(changes: FrameChanges, settings: CutSettings) -> Iterator[tuple[int, int]]:
    """Yield (last frame before, first frame after) of each long black between two pictures."""
    start = None
    for index, luma in enumerate(changes.luma):
        if luma <= settings.black_luma:
            start = index if start is None else start
        elif start is not None:
            first, end = _darkest(changes, start, index)
            held_ms = changes.ms[end] - changes.ms[first]
            if start > 0 and held_ms >= settings.min_black_ms:
                yield start - 1, end
            start = None


def _darkest(changes: FrameChanges, start: int, end: int) -> tuple[int, int]:
    """Return the black frames, as a range [first, end), without the ends of the fades."""
    floor = min(changes.luma[start:end]) + 1.0
    dark = [index for index in range(start, end) if changes.luma[index] <= floor]
    return dark[0], dark[-1] + 1


def _is_near(changes: FrameChanges, cut: int, start: int, end: int) -> bool:
    """Whether a hard cut is at the start or the end of the black; the cut is then the boundary."""
    tolerance_ms = 100
    return changes.ms[start] - tolerance_ms <= changes.ms[cut] <= changes.ms[end] + tolerance_ms
