"""Checks of the picture: dark, not filling the frame, or standing still."""

from dataclasses import dataclass

from filmgate.pipelines.gameplay.checking import check
from filmgate.pipelines.gameplay.rules.pictures import STILL, within
from filmgate.pipelines.gameplay.session import Session

DARK = 15.0
"""Of 255: the threshold of the public pipeline, here of the content alone."""

BRIGHTEST = 0.1
"""The share of pixels that are left out: bars, maps and text over a dark scene."""

FILLED = 0.97
"""The share of width and of height that a picture fills that fills the frame: bars of less than
3 % come from codecs that want whole blocks (1088 rows for 1080), not from scaling."""

MIN_STILL = 0.5
"""The share of the video that a capture must hang for."""
MIN_EVENTS, MIN_EVENTS_PER_MINUTE = 10, 5.0
"""What must be pressed meanwhile: the recorder's own client calls fewer than five key strokes a
minute no play."""


@dataclass(frozen=True, kw_only=True)
class Darkness:
    """Whether the content is dark."""

    value: bool
    mean: float
    """0 to 255, of what is used of the picture, over the whole video."""
    threshold: float
    darkest_frames: list[int]
    """Numbers of up to five."""
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def is_video_mostly_dark(session: Session) -> Darkness:
    """Whether the content of the picture, without its borders and without what is brightest in it
    (what is laid over a scene), is dark on the mean."""
    import numpy as np  # heavy

    few = within(session.greys, session.content)[:, ::3, ::3].reshape(len(session.greys), -1)
    kept = max(1, round(few.shape[1] * (1 - BRIGHTEST)))
    means = np.partition(few, kept - 1, axis=1)[:, :kept].mean(axis=1)
    numbers = session.extracted.frame_numbers(session.spread)
    darkest = np.argsort(means, kind="stable")[:5]
    mean = float(means.mean())
    return Darkness(
        value=mean < DARK,
        mean=round(mean, 3),
        threshold=DARK,
        darkest_frames=sorted(numbers[place] for place in darkest),
        severity=round(max(0.0, 1 - mean / DARK), 4),
    )


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Whether the picture fills its frame."""

    value: bool
    layout: str
    """`full`, `letterbox`, `pillarbox`, `corner` (two sides that meet are bare), `windowbox`, or
    `one side`, which may be a black sky and is not flagged."""
    is_black: bool
    """Whether what is bare is black; else it is something that never moves."""
    left: float
    """The share of the frame that is bare on each side."""
    top: float
    right: float
    bottom: float
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def is_dpi_scale_issue(session: Session) -> Borders:
    """Whether the picture leaves part of its frame bare over the whole video: black, or with
    something that never moves around a rectangle that does."""
    height, width = session.greys.shape[1:]
    is_black = session.content.area < FILLED * width * height
    used = session.content if is_black else session.moving
    bare = {
        "left": used.left / width,
        "top": used.top / height,
        "right": (width - used.right) / width,
        "bottom": (height - used.bottom) / height,
    }
    wide, high = used.width / width, used.height / height
    layout = _layout(bare, wide=wide, high=high)
    return Borders(
        value=layout not in {FULL, ONE_SIDE},
        layout=layout,
        is_black=is_black,
        **{side: round(share, 4) for side, share in bare.items()},
        severity=0.0 if layout in {FULL, ONE_SIDE} else round(1 - wide * high, 4),
    )


def _layout(bare: dict[str, float], *, wide: float, high: float) -> str:
    if wide >= FILLED and high >= FILLED:
        return FULL
    sides = {side for side, share in bare.items() if share > (1 - FILLED) / 2}
    across, upright = sides & {"left", "right"}, sides & {"top", "bottom"}
    if len(sides) == 1:
        return ONE_SIDE
    if wide >= FILLED or not across:
        return "letterbox"
    if high >= FILLED or not upright:
        return "pillarbox"
    return "corner" if len(across) == len(upright) == 1 else "windowbox"


FULL, ONE_SIDE = "full", "one side"


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """Whether the capture hung."""

    value: bool
    still_share: float
    """Of the video: the longest time without any change, menus left out."""
    from_ms: int
    to_ms: int
    events: int
    """What was pressed meanwhile."""
    frames: list[int]
    """Numbers of the first and the last frame of it."""
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def is_frozen(session: Session) -> Frozen:
    """Whether the picture stands still for half of the video while inputs are logged."""
    menus = {place for each in session.stretches() if each.is_menu for place in each.places}
    first, last = _longest_still([float(c) for c in session.changes], menus)
    times = session.times_ms
    begin, end = times[first], times[last]
    shares = len(times) or 1
    share = (last - first) / max(1, shares - 1)
    pressed = session.extracted.inputs.pressed
    events = sum(begin <= each.time_ms <= end for each in pressed)
    minutes = (end - begin) / 60_000
    is_played = events >= MIN_EVENTS and events >= MIN_EVENTS_PER_MINUTE * minutes
    numbers = session.extracted.frame_numbers(session.spread)
    return Frozen(
        value=share >= MIN_STILL and is_played,
        still_share=round(share, 4),
        from_ms=begin,
        to_ms=end,
        events=events,
        frames=[numbers[first], numbers[last]],
        severity=round(share, 4),
    )


def _longest_still(changes: list[float], menus: set[int]) -> tuple[int, int]:
    """The places of the first and the last frame of the longest stretch without change."""
    best = (0, 0)
    first = 0
    for place, change in enumerate(changes, start=1):
        if change > STILL or place in menus or place - 1 in menus:
            first = place
        elif place - first > best[1] - best[0]:
            best = (first, place)
    return best
