"""The demo film: half a minute, composed from pictures inside installed packages.

The pictures are free to use: Eileen Collins (NASA) and a rocket launch (SpaceX, public domain)
from scikit-image, Grace Hopper (US Navy) from matplotlib.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.errors import Unavailable

if TYPE_CHECKING:
    import numpy as np
    from av.container import OutputContainer
    from av.subtitles.stream import SubtitleStream
    from numpy.typing import NDArray
    from PIL.Image import Image

WIDTH, HEIGHT = 640, 360
FRAMES_A_SECOND = 25
DARK, LIGHT = (18, 20, 26), (244, 238, 224)

SUBTITLE_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Sans,16,&H00FFFFFF,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
"""Header that FFmpeg's subtitle encoder requires before it writes a stream."""

Box = tuple[float, float, float]
"""View of the camera: centre x and y, and width, as shares of the picture's size (0 to 1)."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One shot: a picture with a slow pan, or a title card; `says` is its subtitle."""

    seconds: int
    picture: str | None = None
    pan: tuple[Box, Box] = ((0.5, 0.5, 1.0), (0.5, 0.5, 1.0))
    title: tuple[str, ...] = ()
    says: str | None = None


SHOTS = (
    Shot(seconds=3, title=("FILMGATE", "check the gate")),
    Shot(
        seconds=6,
        picture="astronaut",
        pan=((0.42, 0.30, 0.70), (0.50, 0.34, 0.95)),
        says="Eileen Collins was the first woman to command a space shuttle.",
    ),
    Shot(
        seconds=5,
        picture="rocket",
        pan=((0.50, 0.40, 0.90), (0.50, 0.30, 0.70)),
        says="The rocket waits on its pad: nobody moves on until the gate is checked.",
    ),
    Shot(seconds=3, title=("GRACE HOPPER", "rear admiral")),
    Shot(
        seconds=6,
        picture="hopper",
        pan=((0.48, 0.45, 0.75), (0.50, 0.42, 0.95)),
        says="Grace Hopper wrote the first compiler, and taught machines to read words.",
    ),
    Shot(
        seconds=4,
        picture="astronaut",
        pan=((0.62, 0.40, 0.90), (0.45, 0.28, 0.62)),
        says="Words, pictures, people: found again in milliseconds.",
    ),
    Shot(seconds=3, title=("THE END", "that's a wrap")),
)


def compose_film(path: Path, on_progress: Callable[[float, float], None]) -> None:
    """Make the film: VP9 in MP4 with a subtitle stream, the same bytes every time.

    `on_progress` is called with the number of finished frames and their total. The file is
    created atomically.
    """
    import av  # slow to import
    import numpy as np

    pictures = portraits()
    draft = path.with_name(f".{path.name}")
    total = sum(shot.seconds for shot in SHOTS) * FRAMES_A_SECOND
    with av.open(str(draft), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libvpx-vp9", rate=FRAMES_A_SECOND)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"deadline": "realtime", "cpu-used": "8", "crf": "32", "b": "0"}
        video.codec_context.thread_count = 1
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        subtitles = container.add_stream("mov_text")
        subtitles.metadata["language"] = "eng"
        subtitles.codec_context.subtitle_header = SUBTITLE_HEADER
        for number, picture in enumerate(_frames(pictures)):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_A_SECOND)
            container.mux(video.encode(frame))
            on_progress(number + 1, total)
        container.mux(video.encode(None))
        _write_subtitles(container, subtitles)
    draft.replace(path)


def _frames(pictures: dict[str, "Image"]) -> Iterator["Image"]:
    for shot in SHOTS:
        card = None if shot.picture else _title_card(shot.title)
        count = shot.seconds * FRAMES_A_SECOND
        for index in range(count):
            if card is not None:
                yield card
            else:
                assert shot.picture is not None
                yield _camera_view(pictures[shot.picture], shot.pan, index / (count - 1))


def _camera_view(picture: "Image", pan: tuple[Box, Box], position: float) -> "Image":
    """Return the view of the camera at this position of its pan, 0 to 1."""
    from PIL.Image import Resampling  # only needed by the demo

    begin, end = pan
    x, y, width = (a + (b - a) * position for a, b in zip(begin, end, strict=True))
    wide = min(width, 1.0) * picture.width
    high = min(wide * HEIGHT / WIDTH, picture.height)
    wide = high * WIDTH / HEIGHT
    left = min(max(x * picture.width - wide / 2, 0), picture.width - wide)
    top = min(max(y * picture.height - high / 2, 0), picture.height - high)
    box = (left, top, left + wide, top + high)
    return picture.resize((WIDTH, HEIGHT), Resampling.BILINEAR, box=box)


def _title_card(lines: tuple[str, ...]) -> "Image":
    from PIL import Image, ImageDraw, ImageFont  # only needed by the demo

    card = Image.new("RGB", (WIDTH, HEIGHT), DARK)
    draw = ImageDraw.Draw(card)
    for line, size, y in zip(lines, (64, 30), (140, 220), strict=True):
        font = ImageFont.load_default(size)
        draw.text((WIDTH / 2, y), line, fill=LIGHT, font=font, anchor="mm")
    return card


def portraits() -> dict[str, "Image"]:
    """Load the pictures by name from their packages; raise Unavailable if one is missing."""
    try:
        import matplotlib.cbook  # only needed by the demo
        import skimage.data
        from PIL import Image
    except ImportError as error:
        raise Unavailable(
            "the demo's pictures are not installed",
            expected="scikit-image, matplotlib and Pillow",
            got=str(error),
            hint="pip install 'filmgate[demo]'",
        ) from error
    hopper = Image.open(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    astronaut: Callable[[], NDArray[np.uint8]] = skimage.data.astronaut
    rocket: Callable[[], NDArray[np.uint8]] = skimage.data.rocket
    return {
        "astronaut": Image.fromarray(astronaut()),
        "rocket": Image.fromarray(rocket()),
        "hopper": hopper.convert("RGB"),
    }


def _write_subtitles(container: "OutputContainer", stream: "SubtitleStream") -> None:
    """Write a cue for each shot with words, half a second shorter than the shot at both ends."""
    import av  # slow to import

    milliseconds = Fraction(1, 1000)
    begin_ms = 0
    for shot in SHOTS:
        if shot.says is not None:
            text = shot.says.encode()
            packet = av.Packet(len(text).to_bytes(2, "big") + text)
            packet.stream, packet.time_base = stream, milliseconds
            packet.pts = packet.dts = begin_ms + 500
            packet.duration = shot.seconds * 1000 - 1000
            container.mux(packet)
        begin_ms += shot.seconds * 1000
