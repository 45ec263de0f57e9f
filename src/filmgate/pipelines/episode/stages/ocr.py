"""OCR: reads the text in the picture, with the span in which each line is shown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.ocr import OcrTextV1
from filmgate.core.plan import Done, Outcome, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.providers import TextReader
from filmgate.pipelines.episode.files import OCR, PROBE
from filmgate.pipelines.episode.frame_sampling import SampledFrame, read_shots, sample_frames
from filmgate.pipelines.episode.providers import BUILT_IN, load_first_available
from filmgate.pipelines.episode.records import Probe, VideoFacts
from filmgate.pipelines.episode.rules.reading import (
    ReadingSettings,
    ShownLine,
    SmallFrame,
    TextTracker,
)
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.tools.text_models import RapidReader

if TYPE_CHECKING:
    from filmgate.core.providers import Image

SMALL_SIDE_PX = 320
"""Longer side, in pixels, of the frames that are compared; at this size a digit of a caption has 5
pixels."""


class OcrSettings(ReadingSettings):
    """How text is read."""

    models: tuple[Literal["built-in"], ...] = (BUILT_IN,)
    """Text readers in order of preference; the first available one is used."""
    rate: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Sampled frames per second; this is the time resolution of the spans of text."""
    longest: Annotated[int, Field(ge=64, le=8192)] = 960
    """Longer side of the images in which text is read, in pixels."""


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[OCR],
    settings=OcrSettings,
    tools=["av", "numpy", "onnxruntime", "opencv-python-headless", "rapidocr"],
)
def ocr(context: StageContext, settings: OcrSettings) -> Outcome:
    """Read the text of frames that changed, and merge readings of the same line into one span."""
    facts = context.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no video track", cause=SkipCause.NO_INPUT)
    try:
        reader = load_first_available(
            context, settings.models, {}, lambda: RapidReader(longest=settings.longest)
        )
    except Unavailable as error:
        return Skipped(str(error), cause=SkipCause.NO_PROVIDER)
    counts = {"readings": 0}
    lines = sorted(
        _lines(context, facts.video, settings, reader, counts), key=lambda timed: timed.sort_key
    )
    context.write_artifacts(OCR, lines)
    return Done(producer=reader.producer, counts=counts)


def _lines(
    context: StageContext,
    video: VideoFacts,
    settings: OcrSettings,
    reader: TextReader,
    counts: dict[str, int],
) -> Iterator[Timed]:
    """Yield every line of text with its span, after it has ended."""
    tracker = TextTracker(settings)
    scale = 1.0
    frames = sample_frames(
        context, video, read_shots(context, video), rate=settings.rate, longest=settings.longest
    )
    for frame in frames:
        small_frame = _to_small_frame(frame)
        scale = frame.scale
        if tracker.should_read(small_frame, is_cut=frame.is_first):
            counts["readings"] += 1
            height, width = frame.image.shape[:2]
            ended = tracker.add_reading(small_frame, reader.read(frame.image), (width, height))
            yield from (_timed(line, scale) for line in ended)
        else:
            tracker.skip_frame(small_frame)
    yield from (_timed(line, scale) for line in tracker.current_lines)


def _to_small_frame(frame: SampledFrame) -> SmallFrame:
    import cv2  # slow to import

    height, width = frame.image.shape[:2]
    factor = min(1.0, SMALL_SIDE_PX / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    grey: Image = cv2.cvtColor(shrunk, cv2.COLOR_BGR2GRAY).astype("uint8", copy=False)
    return SmallFrame(frame.frame_number, frame.span.start_ms, frame.span.end_ms, grey)


def _timed(line: ShownLine, scale: float) -> Timed:
    payload = OcrTextV1(
        text=line.text,
        confidence=line.confidence,
        bounding_box=tuple((round(x * scale, 1), round(y * scale, 1)) for x, y in line.corners),
        language=None,
        frame_number=line.frame_number,
    )
    return Timed(line.start_ms, line.end_ms, payload)
