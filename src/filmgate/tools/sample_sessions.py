"""The sample sessions: recordings of an imaginary game, and the TAR archives that contain them."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pydantic import JsonValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

SIZE = (320, 180)
RATE = 60
SECONDS = 20
STEP = 2
"""Distance in pixels that the landscape moves per frame."""
VIDEO_START = 1_700_000_000.0
MENU_FROM, MENU_TO = 6 * RATE, 14 * RATE
"""Numbers of the first frame with a menu and of the first frame after it, in the session `menu`."""

METADATA: Mapping[str, JsonValue] = {
    "game_exe": "gatecheck.exe",
    "session_id": "00000000-0000-4000-8000-000000000000",
    "recorder": "filmgate demo",
    "recorder_extra": {"skipped_frames": {"skipped": 0, "total": RATE * SECONDS}},
    "average_fps": float(RATE),
}

SESSIONS = ("barred", "frozen", "menu", "moving")


def draw_sessions(folder: Path, on_progress: Callable[[float, float], None]) -> None:
    """Draw the sample sessions into a folder.

    They are one session without faults, one with a frozen picture, one with a menu for 40 % of the
    time, one with bars at its sides, and an empty archive. `on_progress` is called with the number
    of frames drawn so far and of all frames.
    """
    total = len(SESSIONS) * RATE * SECONDS
    with TemporaryDirectory() as drafts:
        for index, kind in enumerate(SESSIONS):
            video = Path(drafts) / f"{kind}.mp4"
            for number in draw_session(video, kind):
                on_progress(index * RATE * SECONDS + number, total)
            events = _input_events(in_menu=kind == "menu")
            session_tar(folder / f"{kind}.tar", video, inputs=inputs_csv(events))
    (folder / "empty.tar").write_bytes(b"")


def draw_session(path: Path, kind: str, size: tuple[int, int] = SIZE) -> Iterator[int]:
    """Draw a session of one of the `SESSIONS`; yield the number of each frame once it is drawn."""
    with open_recording(path, size) as write:
        for number in range(RATE * SECONDS):
            write(_picture(kind, number, size))
            yield number


def _picture(kind: str, number: int, size: tuple[int, int]) -> "Image":
    import numpy as np  # slow to import

    wide, high = size
    if kind == "frozen":
        return draw_world(0, size)
    if kind == "menu" and MENU_FROM <= number < MENU_TO:
        image = draw_world(MENU_FROM, size) // 2
        image[high * 2 // 9 : high * 7 // 9, wide // 4 : wide * 3 // 4] = 51
        return image
    image = draw_world(number, size)
    if kind == "barred":
        image[:, : wide // 8] = image[:, wide - wide // 8 :] = np.uint8(0)
    return image


def draw_world(number: int, size: tuple[int, int] = SIZE) -> "Image":
    """Draw one frame of a landscape of medium brightness: (h, w, 3) uint8 RGB.

    The landscape moves by `STEP` pixels per frame.
    """
    wide, _ = size
    begin = STEP * (number % (RATE * SECONDS))
    image: Image = _panorama(size)[:, begin : begin + wide].copy()
    return image


@cache
def _panorama(size: tuple[int, int]) -> "Image":
    """Draw the whole landscape of a session."""
    import numpy as np  # slow to import

    high, wide = size[1], size[0] + STEP * RATE * SECONDS
    y, x = np.mgrid[0:high, 0:wide].astype(np.float32)
    near, far = np.sin((x + y * 2) / 19), np.sin((x * 2 + y) / 23)
    squares = np.random.default_rng(7).integers(-30, 31, (high // 3 + 1, wide // 3 + 1))
    rough = np.kron(squares, np.ones((3, 3), np.int64))[:high, :wide, None]
    hills = np.stack([near, far, -near], axis=-1) * 50 + 110 + rough
    image: Image = hills.astype(np.uint8)
    return image


def _input_events(*, in_menu: bool) -> Iterator[tuple[float, str, str]]:
    """Yield key events of a session.

    These are the forward key four times a second or, with a menu, the menu key at its start and
    end.
    """
    if in_menu:
        yield MENU_FROM / RATE - 0.1, "KEYBOARD", "[27,true]"
        yield MENU_TO / RATE - 0.1, "KEYBOARD", "[27,true]"
        return
    for beat in range(SECONDS * 4):
        yield beat / 4, "KEYBOARD", f"[87,{str(beat % 2 == 0).lower()}]"


@contextmanager
def open_recording(
    path: Path, size: tuple[int, int], *, rate: int = RATE, time_base: Fraction | None = None
) -> Iterator["Callable[..., None]"]:
    """Open a video for writing.

    Yields a function that writes one picture, at the next pts unless one is given.
    """
    import av  # slow to import

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
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
    """Write an input log as a recorder does: the quotes within its last column are not doubled.

    `events`: (seconds into the video, type, arguments) of each event.
    """
    start = VIDEO_START
    rows = [
        (start - 0.2, "START", '{"inputs":{"keyboard":[],"mouse":[]}}'),
        (start, "VIDEO_START", "[]"),
        *((start + time, kind, arguments) for time, kind, arguments in events),
        (start + length_s, "VIDEO_END", "[]"),
    ]
    lines = [f'{time!r},{kind},"{arguments}"' for time, kind, arguments in rows]
    return "\n".join(["timestamp,event_type,event_args", *lines, ""]).encode()


def write_tar(path: Path, members: Mapping[str, bytes | Path]) -> Path:
    """Write a TAR archive with these members, in this order; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def session_tar(path: Path, video: Path, *, inputs: bytes) -> Path:
    """Write the archive of a session as the recorder does; return its path."""
    members: dict[str, bytes | Path] = {
        "recording.mp4": video,
        "inputs.csv": inputs,
        "metadata.json": json.dumps(METADATA).encode(),
    }
    return write_tar(path, members)
