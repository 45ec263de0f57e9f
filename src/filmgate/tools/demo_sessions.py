"""The sample sessions: recordings of a game that never was, and the archives they come in."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

SIZE = (320, 180)
RATE = 60
SECONDS = 20
STEP = 2
"""Pixels that the world passes by from frame to frame."""
VIDEO_START = 1_700_000_000.0
MENU_FROM, MENU_TO = 6 * RATE, 14 * RATE
"""The frames that show a menu, in the session that has one."""

METADATA: Mapping[str, Any] = {
    "game_exe": "gatecheck.exe",
    "session_id": "00000000-0000-4000-8000-000000000000",
    "recorder": "filmgate demo",
    "recorder_extra": {"skipped_frames": {"skipped": 0, "total": RATE * SECONDS}},
    "average_fps": float(RATE),
}

SESSIONS = ("barred", "frozen", "menu", "moving")


def compose(folder: Path, told: Callable[[float, float], None]) -> None:
    """Draw the sample sessions into a folder: one that is fine, one of whose capture hung, one
    with a menu over 40 % of it, one with bars at its sides, and an archive with nothing in it.

    `told` hears how many frames of how many are drawn.
    """
    total = len(SESSIONS) * RATE * SECONDS
    with TemporaryDirectory() as drafts:
        for place, kind in enumerate(SESSIONS):
            video = Path(drafts) / f"{kind}.mp4"
            for number in draw(video, kind):
                told(place * RATE * SECONDS + number, total)
            is_menu = kind == "menu"
            session_tar(folder / f"{kind}.tar", video, inputs=inputs_csv(_log(in_menu=is_menu)))
    (folder / "empty.tar").write_bytes(b"")


def draw(path: Path, kind: str, size: tuple[int, int] = SIZE) -> Iterator[int]:
    """Draw a session of that kind, frame by frame; the number of each, when it is drawn."""
    with recording(path, size) as write:
        for number in range(RATE * SECONDS):
            write(_picture(kind, number, size))
            yield number


def _picture(kind: str, number: int, size: tuple[int, int]) -> "Image":
    import numpy as np  # heavy

    wide, high = size
    if kind == "frozen":
        return world(0, size)
    if kind == "menu" and MENU_FROM <= number < MENU_TO:
        image = world(MENU_FROM, size) // 2
        image[high * 2 // 9 : high * 7 // 9, wide // 4 : wide * 3 // 4] = 51
        return image
    image = world(number, size)
    if kind == "barred":
        image[:, : wide // 8] = image[:, wide - wide // 8 :] = np.uint8(0)
    return image


def world(number: int, size: tuple[int, int] = SIZE) -> "Image":
    """(h, w, 3) uint8 RGB, of middle brightness: rough hills that pass by, two pixels a frame."""
    wide, _ = size
    begin = STEP * (number % (RATE * SECONDS))
    image: Image = _panorama(size)[:, begin : begin + wide].copy()
    return image


@cache
def _panorama(size: tuple[int, int]) -> "Image":
    """All that passes by."""
    import numpy as np  # heavy

    high, wide = size[1], size[0] + STEP * RATE * SECONDS
    y, x = np.mgrid[0:high, 0:wide].astype(np.float32)
    near, far = np.sin((x + y * 2) / 19), np.sin((x * 2 + y) / 23)
    squares = np.random.default_rng(7).integers(-30, 31, (high // 3 + 1, wide // 3 + 1))
    rough = np.kron(squares, np.ones((3, 3), np.int64))[:high, :wide, None]
    hills = np.stack([near, far, -near], axis=-1) * 50 + 110 + rough
    image: Image = hills.astype(np.uint8)
    return image


def _log(*, in_menu: bool) -> Iterator[tuple[float, str, str]]:
    """What was pressed: the way ahead, now and then; or the key that opens and shuts a menu."""
    if in_menu:
        yield MENU_FROM / RATE - 0.1, "KEYBOARD", "[27,true]"
        yield MENU_TO / RATE - 0.1, "KEYBOARD", "[27,true]"
        return
    for beat in range(SECONDS * 4):
        yield beat / 4, "KEYBOARD", f"[87,{str(beat % 2 == 0).lower()}]"


@contextmanager
def recording(
    path: Path, size: tuple[int, int], *, rate: int = RATE, time_base: Fraction | None = None
) -> Iterator["Callable[..., None]"]:
    """A video being written: call with each picture, and its pts where it is not the next."""
    import av  # heavy

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.qmin = stream.codec_context.qmax = 3
        base = time_base or Fraction(1, rate)
        stream.codec_context.time_base = base
        count = 0

        def write(image: "Image", pts: int | None = None) -> None:
            nonlocal count
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = count if pts is None else pts, base
            count += 1
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())


def inputs_csv(events: Iterable[tuple[float, str, str]], *, length_s: float = SECONDS) -> bytes:
    """An input log of (seconds into the video, type, arguments), as a recorder writes it: the
    quotes within its last column are not doubled."""
    start = VIDEO_START
    rows = [
        (start - 0.2, "START", '{"inputs":{"keyboard":[],"mouse":[]}}'),
        (start, "VIDEO_START", "[]"),
        *((start + at, kind, told) for at, kind, told in events),
        (start + length_s, "VIDEO_END", "[]"),
    ]
    lines = [f'{at!r},{kind},"{told}"' for at, kind, told in rows]
    return "\n".join(["timestamp,event_type,event_args", *lines, ""]).encode()


def archive(path: Path, members: Mapping[str, bytes | Path]) -> Path:
    """A TAR of these members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, held in members.items():
            data = held.read_bytes() if isinstance(held, Path) else held
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def session_tar(path: Path, video: Path, *, inputs: bytes) -> Path:
    """A session's archive as the recorder makes it."""
    members: dict[str, bytes | Path] = {
        "recording.mp4": video,
        "inputs.csv": inputs,
        "metadata.json": json.dumps(METADATA).encode(),
    }
    return archive(path, members)
