"""Transcript: what is said, from subtitles where there are any, else by listening."""

from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from filmgate.core.errors import Invalid, Unavailable
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, Skipped, stage
from filmgate.core.ports import Bench, Timed
from filmgate.core.providers import Recogniser
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import PROBE, TRANSCRIPT
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, first_there
from filmgate.pipelines.episode.records import AudioFacts, Probe
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.tools import speech, subtitles
from filmgate.tools.decoding import SoundReader, likeness_of_channels
from filmgate.tools.speech import PocketSphinx
from filmgate.tools.subtitles import Cue
from filmgate.tools.whisper import FasterWhisper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


LOADERS: Loaders[Recogniser] = {"faster-whisper": FasterWhisper}


class TranscriptSettings(Settings):
    """What may be listened to and read."""

    subtitles: bool = True
    """Read subtitles beside or inside the file where there are any."""
    recognise: bool = True
    """Listen where there are none."""
    models: tuple[Literal["faster-whisper", "built-in"], ...] = ("faster-whisper", BUILT_IN)
    """The first that is there listens."""
    channels: bool = True
    """Hear left and right apart where they have nothing in common: one talker in each."""


MAX_LIKENESS = 0.1
"""Correlation below which two channels hold a talker each. Of a dialogue recorded with two
microphones it is 0.00; of music and film, mixed for two loudspeakers, far more."""

SIDES = ("left", "right")

FAULTS = {
    "turned_around": "end before they start, and are left out",
    "outside": "lie outside the video, and are left out",
    "clamped": "reach beyond the video, and are shortened",
}


class Source(NamedTuple):
    """Words from one place."""

    kind: str
    producer: Producer
    segments: list[Timed]


@stage(
    requires=[probe.name],
    makes=[TRANSCRIPT],
    settings=TranscriptSettings,
    tools=["av", "numpy", "pocketsphinx", "pysubs2"],
    optional_tools=["ctranslate2", "faster-whisper"],
    consults=LOADERS,
    version=2,
)
def transcript(bench: Bench, settings: TranscriptSettings) -> Outcome:
    """Words from the first source that has any: side-car, embedded text track, recogniser."""
    facts = bench.read_document(PROBE, Probe)
    whole = Span(start_ms=0, end_ms=facts.duration_ms)
    try:
        return _written(bench, facts, whole, settings)
    except Unavailable as error:
        return Skipped(str(error))


def _written(bench: Bench, facts: Probe, whole: Span, settings: TranscriptSettings) -> Outcome:
    for source in _sources(bench, facts, whole, settings):
        if source.segments or source.kind == "recogniser":
            bench.write_artifacts(TRANSCRIPT, source.segments)
            return Done(
                producer=source.producer,
                counts={
                    "segments": len(source.segments),
                    "words": sum(len(_words(each)) for each in source.segments),
                },
                metrics={"source": source.kind},
            )
        bench.warn("no_words", f"no words inside the video in: {source.kind}")
    return Skipped(_why_not(facts, settings))


def segments_from(
    cues: Iterable[Cue], whole: Span, language: str | None
) -> tuple[list[Timed], dict[str, int]]:
    """Cues as segments in order of time, and how many had to be mended or left out.

    Spans are clamped to the media. A cue that ends before it starts, lies outside, or says
    nothing, is left out.
    """
    segments: list[Timed] = []
    faults = {"turned_around": 0, "outside": 0, "clamped": 0}
    for cue in cues:
        if not cue.text:
            continue
        if cue.start_ms > cue.end_ms:
            faults["turned_around"] += 1
            continue
        written = Span(start_ms=cue.start_ms, end_ms=cue.end_ms)
        span = written.clamped(whole)
        if span is None or (span.duration_ms == 0 and written.duration_ms > 0):
            faults["outside"] += 1
            continue
        faults["clamped"] += span != written
        payload = TranscriptSegmentV1(
            text=cue.text, speaker=cue.speaker, confidence=None, language=language
        )
        segments.append(Timed(span.start_ms, span.end_ms, payload))
    return sorted(segments, key=lambda timed: timed.place), faults


def _sources(
    bench: Bench, facts: Probe, whole: Span, settings: TranscriptSettings
) -> Iterator[Source]:
    """The places to look for words, best first; each is only read when it is its turn."""
    if settings.subtitles:
        for side_car in list(bench.sources.values())[1:]:
            yield _from_side_car(bench, side_car, whole)
        for track in facts.subtitles:
            cues = subtitles.read_embedded(bench.source, track.track)
            producer = Producer(name="pyav", version=metadata.version("av"))
            yield _from_cues(bench, "embedded subtitles", producer, cues, whole, track.language)
    if settings.recognise and facts.audio is not None:
        yield _from_recogniser(bench, facts.audio, whole, settings)


def _from_side_car(bench: Bench, path: Path, whole: Span) -> Source:
    """The words beside the video; none, with a warning, where the file cannot be read."""
    try:
        cues = subtitles.read_side_car(path)
    except Invalid as error:
        bench.warn("side_car_unreadable", str(error))
        cues = []
    language = subtitles.language_of(path)
    producer = Producer(name="pysubs2", version=metadata.version("pysubs2"))
    return _from_cues(bench, "side-car subtitles", producer, cues, whole, language)


def _from_cues(
    bench: Bench,
    kind: str,
    producer: Producer,
    cues: Iterable[Cue],
    whole: Span,
    language: str | None,
) -> Source:
    segments, faults = segments_from(cues, whole, language)
    for code, count in faults.items():
        if count:
            bench.warn(f"cues_{code}", f"{kind}: {count} cues {FAULTS[code]}", cues=count)
    return Source(kind, producer, segments)


def _from_recogniser(
    bench: Bench, audio: AudioFacts, whole: Span, settings: TranscriptSettings
) -> Source:
    """Listen to the whole of the first sound track."""
    recogniser = first_there(bench, settings.models, LOADERS, PocketSphinx)
    segments, beyond = [], 0
    sides = _sides(bench, audio, settings)
    for number, side in enumerate(sides):
        channel = None if side is None else SIDES.index(side)
        listened = _listen(bench, whole, channel, (number, len(sides)))
        for heard in recogniser.recognise(listened):
            said = Span(start_ms=heard.start_ms, end_ms=heard.end_ms)
            span = said.clamped(whole)
            beyond += span != said
            if span is not None:
                payload = TranscriptSegmentV1(
                    text=heard.text,
                    speaker=side,
                    confidence=heard.confidence,
                    language=heard.language,
                )
                segments.append(Timed(span.start_ms, span.end_ms, payload))
    if segments and isinstance(recogniser, PocketSphinx):
        bench.warn(
            "built_in_recogniser",
            "heard by the built-in recogniser: good for finding words in clear English, "
            "not for reading",
        )
    if beyond:
        bench.warn(
            "clamped", f"{beyond} segments were heard beyond the end, and are cut", segments=beyond
        )
    segments.sort(key=lambda timed: timed.place)
    return Source("recogniser", recogniser.producer, segments)


def _sides(
    bench: Bench, audio: AudioFacts, settings: TranscriptSettings
) -> tuple[str, ...] | tuple[None]:
    """The channels to be heard apart; only the mix where they have something in common."""
    if not settings.channels or audio.channels != len(SIDES):
        return (None,)
    likeness = likeness_of_channels(bench.source, rate=speech.RATE)
    return SIDES if abs(likeness) < MAX_LIKENESS else (None,)


def _listen(
    bench: Bench, whole: Span, channel: int | None, part: tuple[int, int]
) -> Iterator["NDArray[np.int16]"]:
    """The sound, telling how far it was heard. `part`: which of how many hearings this is."""
    heard = 0
    before, parts = part
    length_s = whole.end_ms / 1000
    for block in SoundReader(bench.source, rate=speech.RATE, channel=channel):
        heard += len(block)
        bench.progress(before * length_s + heard / speech.RATE, parts * length_s)
        yield block


def _words(segment: Timed) -> list[str]:
    payload = segment.payload
    return payload.text.split() if isinstance(payload, TranscriptSegmentV1) else []


def _why_not(facts: Probe, settings: TranscriptSettings) -> str:
    if facts.audio is None:
        return "no subtitles and no audio"
    return "no subtitles, and recognition is switched off" if not settings.recognise else "no words"
