"""v1: the checks as the public pipeline for game sessions defines them, with their weak spots."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from filmgate.pipelines.gameplay.checking import V1, check
from filmgate.pipelines.gameplay.session import Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DARK = 15.0
"""Of 255: the public pipeline's threshold."""
BORDER, BORDER_BLACK = 0.1, 10.0
"""The share of the height that is looked at, and below which mean it counts as a bar: likewise."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Yes or no."""

    value: bool


@dataclass(frozen=True, kw_only=True)
class Share:
    """0 to 1."""

    value: float


@check(version=1, edition=V1)
def is_video_mostly_dark(session: Session) -> Truth:
    """Whether the mean of every 30th frame, 15 of them, is below 15."""
    frames = session.extracted.frames(session.stride(30))
    return Truth(value=_mean(frames) < DARK)


@check(version=1, edition=V1)
def is_dpi_scale_issue(session: Session) -> Truth:
    """Whether the highest and the lowest tenth of the first frame are both below 10."""
    frame = session.extracted.frames(session.stride(3), slice(0, 1))[0]
    height = frame.shape[1]
    top = frame[:, : int(height * BORDER)]
    bottom = frame[:, int(height * (1 - BORDER)) :]
    return Truth(value=_mean(top) < BORDER_BLACK and _mean(bottom) < BORDER_BLACK)


@check(version=1, edition=V1)
def video_menu_percent(session: Session) -> Share:
    """The share of every 30th and every 60th frame, 15 and 5 of them, that show a menu. There, a
    vision-language model says which do; here, what says so in v2."""
    places = menus = 0
    for stride in (30, 60):
        found = session.stretches(session.stride(stride))
        places += sum(len(each.places) for each in found)
        menus += sum(len(each.places) for each in found if each.is_menu)
    return Share(value=menus / places if places else 0.0)


@check(version=1, edition=V1)
def is_video_mostly_menu(session: Session) -> Truth:
    """Whether that share is above the threshold."""
    return Truth(value=video_menu_percent.run(session).value > session.menu_flag_threshold)


def _mean(pixels: "NDArray[np.uint8]") -> float:
    """The mean of bytes. Summed by OpenCV, exactly and twenty times as fast as by numpy."""
    import cv2  # heavy
    import numpy as np

    rows = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[-1])
    return float(cv2.sumElems(rows)[0]) / pixels.size if pixels.size else 0.0
