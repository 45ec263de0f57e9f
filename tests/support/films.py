"""Write small films with a real encoder."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (96, 64)
COLOURS = ((40, 90, 160), (200, 170, 60), (60, 160, 90), (180, 60, 150))


def picture(colour: tuple[int, int, int], grain: int = 0) -> NDArray[np.uint8]:
    """Draw a plain picture with stripes that depend on `grain`, (64, 96, 3) uint8 RGB."""
    width, height = SIZE
    image = np.full((height, width, 3), colour, dtype=np.uint8)
    image[:: 4 + grain % 5] //= 2
    return image


def write_film(
    path: Path,
    stamps: Sequence[int],
    pictures: Sequence[NDArray[np.uint8]],
    *,
    time_base: Fraction = Fraction(1, 1000),
    subtitles: Path | None = None,
    sound_s: float = 0,
) -> Path:
    """Write a film with a picture at each of `stamps`, in ticks of `time_base`; MKV stores them
    unchanged."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = time_base
        video.codec_context.max_b_frames = 0
        sound = container.add_stream("pcm_s16le", rate=16000) if sound_s else None
        cues = av.open(str(subtitles)) if subtitles else None
        texts = container.add_stream_from_template(cues.streams.subtitles[0]) if cues else None
        for stamp, image in zip(stamps, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            _write_sound(container, sound, sound_s)
        if cues is not None and texts is not None:
            for packet in cues.demux(cues.streams.subtitles[0]):
                if packet.dts is not None:
                    packet.stream = texts
                    container.mux(packet)
            cues.close()
    return path


def film_of_shots(
    path: Path, shots: Sequence[int], *, frame_ms: int = 40, subtitles: Path | None = None
) -> Path:
    """Write a film at a constant rate; `shots`: numbers of frames. The colour changes per shot."""
    pictures = [
        picture(COLOURS[number % len(COLOURS)], number)
        for number, length in enumerate(shots)
        for _ in range(length)
    ]
    stamps = [index * frame_ms for index in range(len(pictures))]
    return write_film(path, stamps, pictures, subtitles=subtitles)


def write_tone(path: Path, seconds: float) -> Path:
    """Write a WAV file with a soft hum: sound without speech."""
    with av.open(str(path), "w") as container:
        _write_sound(container, container.add_stream("pcm_s16le", rate=16000), seconds)
    return path


def _write_sound(container: Any, stream: Any, seconds: float) -> None:
    count = round(seconds * 16000)
    hum = (np.sin(np.arange(count) * 0.05) * 300).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(hum, format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
