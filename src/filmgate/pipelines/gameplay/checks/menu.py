"""Checks of menus: how much of a session shows one."""

from dataclasses import dataclass

from filmgate.pipelines.gameplay.checking import check
from filmgate.pipelines.gameplay.session import Session


@dataclass(frozen=True, kw_only=True)
class MenuShare:
    """How much of the video shows a menu."""

    value: float
    """0 to 1, of frames spread evenly over it."""
    frames: list[int]
    """Numbers of the frames that do."""
    from_ms: list[int]
    """When each stretch of them is first and last seen."""
    to_ms: list[int]
    evidence: list[str]
    """Of each stretch, by comma: `panel`, `text`, `dimmed`, `toggled`, `walking`."""
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def video_menu_percent(session: Session) -> MenuShare:
    """The share of the frames that show a menu: by panels, text, a picture that darkens, and keys
    that open menus; walking speaks against it."""
    menus = [each for each in session.stretches() if each.is_menu]
    numbers = session.extracted.frame_numbers(session.spread)
    times = session.times_ms
    frames = [numbers[place] for each in menus for place in each.places]
    share = len(frames) / len(numbers) if numbers else 0.0
    return MenuShare(
        value=share,
        frames=frames,
        from_ms=[times[each.first] for each in menus],
        to_ms=[times[each.last] for each in menus],
        evidence=[",".join(each.evidence) for each in menus],
        severity=round(share, 4),
    )


@dataclass(frozen=True, kw_only=True)
class MostlyMenu:
    """Whether it is mostly menu."""

    value: bool
    threshold: float
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def is_video_mostly_menu(session: Session) -> MostlyMenu:
    """Whether the share of menus is above the threshold."""
    share = video_menu_percent.run(session).value
    threshold = session.menu_flag_threshold
    return MostlyMenu(value=share > threshold, threshold=threshold, severity=round(share, 4))
