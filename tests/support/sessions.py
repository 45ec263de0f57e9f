"""Recordings derived from other recordings."""

from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np

from filmgate.tools.sample_sessions import open_recording


def variants(source: Path, folder: Path, *, size: tuple[int, int] = (320, 180)) -> dict[str, Path]:
    """Write reduced variants of a recording: with bars above and below, with bars left and right,
    in a corner, and dark; return their paths by name. Each is decoded and encoded once."""
    wide, high = size
    places = {
        "letterboxed": (0, high // 8, wide, high - high // 4),
        "pillarboxed": (wide // 8, 0, wide - wide // 4, high),
        "corner": (0, 0, wide * 2 // 3 // 2 * 2, high * 2 // 3 // 2 * 2),
        "dark": (0, 0, wide, high),
    }
    paths = {name: folder / f"{name}.mp4" for name in places}
    with ExitStack() as stack, av.open(str(source)) as container:
        writers = {
            name: stack.enter_context(open_recording(path, size)) for name, path in paths.items()
        }
        for frame in container.decode(video=0):
            small = frame.reformat(width=wide, height=high, format="rgb24").to_ndarray()
            for name, (left, top, w, h) in places.items():
                canvas = np.zeros((high, wide, 3), np.uint8)
                rows = np.linspace(0, high - 1, h).astype(int)
                columns = np.linspace(0, wide - 1, w).astype(int)
                canvas[top : top + h, left : left + w] = small[rows][:, columns]
                writers[name](canvas // 10 if name == "dark" else canvas)
    return paths
