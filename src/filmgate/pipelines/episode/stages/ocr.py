"""OCR: the text that stands in the picture, and from when to when."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.ocr import OcrTextV1
from filmgate.core.plan import Done, Outcome, Skipped, stage
from filmgate.core.ports import Bench, Timed
from filmgate.core.providers import TextReader
from filmgate.pipelines.episode.files import OCR, PROBE
from filmgate.pipelines.episode.looking import Look, look, shots_of
from filmgate.pipelines.episode.providers import BUILT_IN, first_there
from filmgate.pipelines.episode.records import Probe, VideoFacts
from filmgate.pipelines.episode.rules.reading import Reading, ReadSettings, Shown, Small
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.tools.text_models import RapidReader

if TYPE_CHECKING:
    from filmgate.core.providers import Image

SMALL = 320
"""Pixels of the longer side at which change is looked for; a digit of a caption is 5 of them."""


class OcrSettings(ReadSettings):
    """How text is read."""

    models: tuple[Literal["built-in"], ...] = (BUILT_IN,)
    """The first that is there reads the text."""
    rate: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Looks a second: how exactly it is known when text comes and goes."""
    longest: Annotated[int, Field(ge=64, le=8192)] = 960
    """Pixels of the longer side at which text is read."""


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[OCR],
    settings=OcrSettings,
    tools=["av", "numpy", "onnxruntime", "opencv-python-headless", "rapidocr"],
)
def ocr(bench: Bench, settings: OcrSettings) -> Outcome:
    """Read frames that changed; join what stays into spans."""
    facts = bench.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no picture")
    try:
        reader = first_there(
            bench, settings.models, {}, lambda: RapidReader(longest=settings.longest)
        )
    except Unavailable as error:
        return Skipped(str(error))
    counts = {"readings": 0}
    lines = sorted(
        _lines(bench, facts.video, settings, reader, counts), key=lambda timed: timed.place
    )
    bench.write_artifacts(OCR, lines)
    return Done(producer=reader.producer, counts=counts)


def _lines(
    bench: Bench,
    video: VideoFacts,
    settings: OcrSettings,
    reader: TextReader,
    counts: dict[str, int],
) -> Iterator[Timed]:
    """Every line of text with its span, once it has ended."""
    reading = Reading(settings)
    scale = 1.0
    looks = look(bench, video, shots_of(bench, video), rate=settings.rate, longest=settings.longest)
    for each in looks:
        small = _small(each)
        scale = each.scale
        if reading.is_due(small, is_cut=each.is_first):
            counts["readings"] += 1
            height, width = each.image.shape[:2]
            ended = reading.read(small, reader.read(each.image), (width, height))
            yield from (_timed(line, scale) for line in ended)
        else:
            reading.pass_over(small)
    yield from (_timed(line, scale) for line in reading.standing)


def _small(each: Look) -> Small:
    import cv2  # heavy

    height, width = each.image.shape[:2]
    factor = min(1.0, SMALL / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk: Any = cv2.resize(each.image, size, interpolation=cv2.INTER_AREA)
    grey: Image = cv2.cvtColor(shrunk, cv2.COLOR_BGR2GRAY).astype("uint8", copy=False)
    return Small(each.frame_number, each.span.start_ms, each.span.end_ms, grey)


def _timed(line: Shown, scale: float) -> Timed:
    payload = OcrTextV1(
        text=line.text,
        confidence=line.confidence,
        bounding_box=tuple((round(x * scale, 1), round(y * scale, 1)) for x, y in line.corners),
        language=None,
        frame_number=line.frame_number,
    )
    return Timed(line.start_ms, line.end_ms, payload)
