"""The checks of `v1`: as the public pipeline for game sessions defines them, with its
weaknesses."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from filmgate.pipelines.gameplay.check_registry import V1, check
from filmgate.pipelines.gameplay.session import GameSession

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_DARK_MEAN = 15.0
"""Mean brightness below which a video is dark, 0 to 255: the public pipeline's threshold."""
BORDER_SHARE, MAX_BORDER_MEAN = 0.1, 10.0
"""Share of the height at the top and bottom that is measured, and the mean brightness below which
it is a bar, 0 to 255: the public pipeline's thresholds."""


@dataclass(frozen=True, kw_only=True)
class BooleanResult:
    """A yes or no, without evidence."""

    value: bool


@dataclass(frozen=True, kw_only=True)
class ShareResult:
    """A share, without evidence."""

    value: float
    """0 to 1."""


@check(version=1, edition=V1)
def is_video_mostly_dark(session: GameSession) -> BooleanResult:
    """Check whether the mean brightness of every 30th frame, up to 15 frames, is below 15 of
    255."""
    frames = session.extracted.frames(session.stride_series(30))
    return BooleanResult(value=_mean(frames) < MAX_DARK_MEAN)


@check(version=1, edition=V1)
def is_dpi_scale_issue(session: GameSession) -> BooleanResult:
    """Check whether the top and the bottom tenth of the first frame have a mean below 10 of 255."""
    frame = session.extracted.frames(session.stride_series(3), slice(0, 1))[0]
    height = frame.shape[1]
    top = frame[:, : int(height * BORDER_SHARE)]
    bottom = frame[:, int(height * (1 - BORDER_SHARE)) :]
    return BooleanResult(value=_mean(top) < MAX_BORDER_MEAN and _mean(bottom) < MAX_BORDER_MEAN)


@check(version=1, edition=V1)
def video_menu_percent(session: GameSession) -> ShareResult:
    """Measure the share of menus in every 30th and every 60th frame, up to 15 and 5 frames.

    The public pipeline asks a vision-language model which frames show a menu; this check uses the
    rules of `v2` instead.
    """
    frames = menus = 0
    for stride in (30, 60):
        stretches = session.stretches(session.stride_series(stride))
        frames += sum(len(stretch.indices) for stretch in stretches)
        menus += sum(len(stretch.indices) for stretch in stretches if stretch.is_menu)
    return ShareResult(value=menus / frames if frames else 0.0)


@check(version=1, edition=V1)
def is_video_mostly_menu(session: GameSession) -> BooleanResult:
    """Check whether the share of menus is above the threshold."""
    return BooleanResult(value=video_menu_percent.run(session).value > session.menu_flag_threshold)


def _mean(pixels: "NDArray[np.uint8]") -> float:
    """Return the mean of an array of bytes; OpenCV sums them exactly, 20 times as fast as numpy."""
    import cv2  # slow to import
    import numpy as np

    rows = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[-1])
    return float(cv2.sumElems(rows)[0]) / pixels.size if pixels.size else 0.0
