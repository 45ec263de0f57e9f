"""Checks of the picture: whether it is dark, has borders, or is frozen."""

from dataclasses import dataclass

from filmgate.pipelines.gameplay.check_registry import check
from filmgate.pipelines.gameplay.rules.pictures import MAX_STILL_CHANGE, crop
from filmgate.pipelines.gameplay.session import GameSession

MAX_DARK_MEAN = 15.0
"""Mean brightness of the content below which a video is dark, 0 to 255. The public pipeline's
threshold, applied to the content alone."""

IGNORED_BRIGHTEST_SHARE = 0.1
"""Share of the brightest pixels that are ignored: bars, maps and text over a dark scene."""

MIN_FILLED_SHARE = 0.97
"""Minimum share of the width and of the height that a full picture covers. Bars of less than 3 %
come from codecs that need whole blocks (1088 rows for 1080), not from scaling."""

MIN_STILL_SHARE = 0.5
"""Minimum share of the video without any change for the capture to be frozen."""
MIN_EVENTS, MIN_EVENTS_PER_MINUTE = 10, 5.0
"""Minimum number of inputs during the time without change, in total and per minute, for the capture
to be frozen. The recorder's own client does not count fewer than five key strokes per minute as
play."""


@dataclass(frozen=True, kw_only=True)
class Darkness:
    """Whether the content is dark."""

    value: bool
    mean: float
    """Mean brightness of the content over the whole video, 0 to 255."""
    threshold: float
    darkest_frames: list[int]
    """Numbers of up to five of the darkest frames."""
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def is_video_mostly_dark(session: GameSession) -> Darkness:
    """Check whether the content of the picture is dark on average.

    Borders and the brightest pixels (overlays on a scene) are ignored.
    """
    import numpy as np  # slow to import

    sampled = crop(session.greys, session.content)[:, ::3, ::3].reshape(len(session.greys), -1)
    count = max(1, round(sampled.shape[1] * (1 - IGNORED_BRIGHTEST_SHARE)))
    means = np.partition(sampled, count - 1, axis=1)[:, :count].mean(axis=1)
    numbers = session.extracted.frame_numbers(session.main_series)
    darkest = np.argsort(means, kind="stable")[:5]
    mean = float(means.mean())
    return Darkness(
        value=mean < MAX_DARK_MEAN,
        mean=round(mean, 3),
        threshold=MAX_DARK_MEAN,
        darkest_frames=sorted(numbers[index] for index in darkest),
        severity=round(max(0.0, 1 - mean / MAX_DARK_MEAN), 4),
    )


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Whether the picture fills its frame."""

    value: bool
    layout: str
    """`full`, `letterbox`, `pillarbox`, `corner` (borders on two adjacent sides), `windowbox`, or
    `one side`, which may be a black sky and is not flagged."""
    is_black: bool
    """Whether the border is black; otherwise it is an area that never changes."""
    left: float
    """Width of the left border, as a share of the frame's width."""
    top: float
    """Height of the top border, as a share of the frame's height."""
    right: float
    """Width of the right border, as a share of the frame's width."""
    bottom: float
    """Height of the bottom border, as a share of the frame's height."""
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def is_dpi_scale_issue(session: GameSession) -> Borders:
    """Check whether the picture has borders over the whole video.

    A border is black, or an area that never changes around a rectangle that does.
    """
    height, width = session.greys.shape[1:]
    is_black = session.content.area < MIN_FILLED_SHARE * width * height
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
    if wide >= MIN_FILLED_SHARE and high >= MIN_FILLED_SHARE:
        return FULL
    sides = {side for side, share in bare.items() if share > (1 - MIN_FILLED_SHARE) / 2}
    across, upright = sides & {"left", "right"}, sides & {"top", "bottom"}
    if len(sides) == 1:
        return ONE_SIDE
    if wide >= MIN_FILLED_SHARE or not across:
        return "letterbox"
    if high >= MIN_FILLED_SHARE or not upright:
        return "pillarbox"
    return "corner" if len(across) == len(upright) == 1 else "windowbox"


FULL, ONE_SIDE = "full", "one side"


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """Whether the capture was frozen."""

    value: bool
    still_share: float
    """Longest time without any change, menus excluded, as a share of the video."""
    from_ms: int
    to_ms: int
    events: int
    """Number of inputs during that time."""
    frames: list[int]
    """Numbers of the first and the last frame of that time."""
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def is_frozen(session: GameSession) -> Frozen:
    """Check whether the picture does not change for half of the video while inputs are logged."""
    menus = {i for stretch in session.stretches() if stretch.is_menu for i in stretch.indices}
    first, last = _longest_still([float(change) for change in session.changes], menus)
    times = session.times_ms
    begin, end = times[first], times[last]
    count = len(times) or 1
    share = (last - first) / max(1, count - 1)
    pressed = session.extracted.inputs.pressed
    events = sum(begin <= event.time_ms <= end for event in pressed)
    minutes = (end - begin) / 60_000
    is_played = events >= MIN_EVENTS and events >= MIN_EVENTS_PER_MINUTE * minutes
    numbers = session.extracted.frame_numbers(session.main_series)
    return Frozen(
        value=share >= MIN_STILL_SHARE and is_played,
        still_share=round(share, 4),
        from_ms=begin,
        to_ms=end,
        events=events,
        frames=[numbers[first], numbers[last]],
        severity=round(share, 4),
    )


def _longest_still(changes: list[float], menus: set[int]) -> tuple[int, int]:
    """Find the indices of the first and last frame of the longest stretch without change."""
    best = (0, 0)
    first = 0
    for index, change in enumerate(changes, start=1):
        if change > MAX_STILL_CHANGE or index in menus or index - 1 in menus:
            first = index
        elif index - first > best[1] - best[0]:
            best = (first, index)
    return best
