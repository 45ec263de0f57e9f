"""Checks for menus: how much of a session shows a menu."""

from dataclasses import dataclass

from filmgate.pipelines.gameplay.check_registry import check
from filmgate.pipelines.gameplay.session import GameSession


@dataclass(frozen=True, kw_only=True)
class MenuShare:
    """The share of the video that shows a menu."""

    value: float
    """Share of the frames of the main series that show a menu, 0 to 1."""
    frames: list[int]
    """Numbers of the frames that show a menu."""
    from_ms: list[int]
    """Time of the first frame of each stretch of frames with a menu."""
    to_ms: list[int]
    """Time of the last frame of each stretch."""
    evidence: list[str]
    """Evidence for each stretch, separated by commas: `panel`, `text`, `dimmed`, `toggled`,
    `still`, `walking`."""
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def video_menu_percent(session: GameSession) -> MenuShare:
    """Measure the share of frames that show a menu.

    Evidence: panels, text, a picture that darkens, keys that open menus. Evidence against:
    walking.
    """
    menus = [stretch for stretch in session.stretches() if stretch.is_menu]
    numbers = session.extracted.frame_numbers(session.main_series)
    times = session.times_ms
    frames = [numbers[index] for stretch in menus for index in stretch.indices]
    share = len(frames) / len(numbers) if numbers else 0.0
    return MenuShare(
        value=share,
        frames=frames,
        from_ms=[times[stretch.first] for stretch in menus],
        to_ms=[times[stretch.last] for stretch in menus],
        evidence=[",".join(stretch.evidence) for stretch in menus],
        severity=round(share, 4),
    )


@dataclass(frozen=True, kw_only=True)
class MostlyMenu:
    """Whether the video is mostly menu."""

    value: bool
    threshold: float
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def is_video_mostly_menu(session: GameSession) -> MostlyMenu:
    """Check whether the share of menus is above the threshold."""
    share = video_menu_percent.run(session).value
    threshold = session.menu_flag_threshold
    return MostlyMenu(value=share > threshold, threshold=threshold, severity=round(share, 4))
