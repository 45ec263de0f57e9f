"""Game sessions: recordings that are drawn or derived, and the archives they come in."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

METADATA: dict[str, Any] = {
    "game_exe": "drawn.exe",
    "session_id": "00000000-0000-4000-8000-000000000000",
    "recorder_extra": {"skipped_frames": {"skipped": 0, "total": 1200}},
}
VIDEO_START = 1_700_000_000.0


@contextmanager
def recording(
    path: Path, size: tuple[int, int], *, rate: int = 60, time_base: Fraction | None = None
) -> Iterator[Callable[..., None]]:
    """A video being written: call with each picture, and its pts where it is not the next."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "20", "g": "120"}
        base = time_base or Fraction(1, rate)
        stream.codec_context.time_base = base
        count = 0

        def write(image: Image, pts: int | None = None) -> None:
            nonlocal count
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = count if pts is None else pts, base
            count += 1
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())


def world(number: int, size: tuple[int, int] = (320, 180)) -> Image:
    """A picture of something that moves: soft waves in three colours, of middle brightness."""
    wide, high = size
    y, x = np.mgrid[0:high, 0:wide].astype(np.float32)
    waves = [np.sin((x * a + y * b) / 19 + number / 9 * c) for a, b, c in ((1, 2, 1), (2, 1, 2))]
    image = np.stack([waves[0], waves[1], -waves[0]], axis=-1) * 60 + 110
    return image.astype(np.uint8)


def inputs_csv(events: Iterable[tuple[float, str, str]], *, length_s: float = 20.0) -> bytes:
    """An input log of (seconds into the video, type, arguments), as a recorder writes it."""
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


def session_tar(
    path: Path, video: Path, *, metadata: Any = None, inputs: bytes | None = None
) -> Path:
    """A session's archive as the recorder makes it."""
    told = METADATA if metadata is None else metadata
    return archive(
        path,
        {
            "recording.mp4": video,
            "inputs.csv": inputs_csv([]) if inputs is None else inputs,
            "metadata.json": json.dumps(told).encode(),
        },
    )


def variants(source: Path, folder: Path, *, size: tuple[int, int] = (320, 180)) -> dict[str, Path]:
    """A recording as it would be with bars above and below, left and right, in a corner, and in
    the dark; decoded and encoded anew once, and small."""
    wide, high = size
    places = {
        "letterboxed": (0, high // 8, wide, high - high // 4),
        "pillarboxed": (wide // 8, 0, wide - wide // 4, high),
        "corner": (0, 0, wide * 2 // 3 // 2 * 2, high * 2 // 3 // 2 * 2),
        "dark": (0, 0, wide, high),
    }
    paths = {name: folder / f"{name}.mp4" for name in places}
    with ExitStack() as stack, av.open(str(source)) as container:
        writers = {name: stack.enter_context(recording(path, size)) for name, path in paths.items()}
        for frame in container.decode(video=0):
            small = frame.reformat(width=wide, height=high, format="rgb24").to_ndarray()
            for name, (left, top, w, h) in places.items():
                canvas = np.zeros((high, wide, 3), np.uint8)
                rows = np.linspace(0, high - 1, h).astype(int)
                columns = np.linspace(0, wide - 1, w).astype(int)
                canvas[top : top + h, left : left + w] = small[rows][:, columns]
                writers[name](canvas // 10 if name == "dark" else canvas)
    return paths
