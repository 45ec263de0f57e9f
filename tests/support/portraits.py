"""Write a short film with two people and a title card, from pictures inside installed packages."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from filmgate.tools.sample_film import portraits

SIZE = (320, 240)
RATE = 10
SHOT_S = 2


def portrait_shots() -> list["Image.Image"]:
    """Return two portraits and a title card, of `SIZE`."""
    faces = [
        picture.crop(box).resize(SIZE, Image.Resampling.BILINEAR)
        for picture, box in zip(
            (portraits()["astronaut"], portraits()["hopper"]),
            ((90, 20, 350, 215), (80, 30, 430, 292)),
            strict=True,
        )
    ]
    card = Image.new("RGB", SIZE, (18, 20, 26))
    font = ImageFont.load_default(40)
    ImageDraw.Draw(card).text((160, 120), "GATE", fill=(244, 238, 224), font=font, anchor="mm")
    return [*faces, card]


def picture_of_two() -> "Image.Image":
    """Return one picture with the two portraits side by side."""
    left, right, _ = portrait_shots()
    picture = Image.new("RGB", (2 * SIZE[0], SIZE[1]))
    picture.paste(left, (0, 0))
    picture.paste(right, (SIZE[0], 0))
    return picture


def film_of_people(
    path: Path,
    *,
    shots: Sequence["Image.Image"] = (),
    shot_frames: int = SHOT_S * RATE,
    rotate: int = 0,
    first_pts: int = 0,
    pixel_format: str = "yuv420p",
    codec: str = "libvpx-vp9",
) -> Path:
    """Write a film with `shot_frames` frames of each picture.

    `rotate`: quarter turns counter-clockwise by which pictures are rotated before encoding.
    """
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=RATE)
        shots = shots or portrait_shots()
        width, height = shots[0].size if rotate % 2 == 0 else shots[0].size[::-1]
        video.width, video.height, video.pix_fmt = width, height, pixel_format
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        if codec == "libvpx-vp9":
            video.options = {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"}
        number = 0
        for picture in shots:
            rotated = np.ascontiguousarray(np.rot90(np.asarray(picture), rotate))
            for _ in range(shot_frames):
                frame = av.VideoFrame.from_ndarray(rotated, format="rgb24")
                frame.pts = first_pts + number * 1000 // RATE
                frame.time_base = Fraction(1, 1000)
                container.mux(video.encode(frame))
                number += 1
        container.mux(video.encode(None))
    return path
