"""Transcript: takes the words from subtitles, or else recognises speech."""

from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from filmgate.core.errors import Invalid, Unavailable
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.providers import Recogniser
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import PROBE, TRANSCRIPT
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, load_first_available
from filmgate.pipelines.episode.records import AudioFacts, Probe
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.tools import speech, subtitles
from filmgate.tools.decoding import SoundReader, channel_correlation
from filmgate.tools.speech import PocketSphinx
from filmgate.tools.subtitles import Cue
from filmgate.tools.whisper import FasterWhisper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


LOADERS: Loaders[Recogniser] = {"faster-whisper": FasterWhisper}


class TranscriptSettings(Settings):
    """Which sources of words are used."""

    subtitles: bool = True
    """Whether to read subtitles beside or inside the file."""
    recognise: bool = True
    """Whether to recognise speech if no subtitles are found."""
    models: tuple[Literal["faster-whisper", "built-in"], ...] = ("faster-whisper", BUILT_IN)
    """Speech recognisers in order of preference; the first available one is used."""
    channels: bool = True
    """Whether to transcribe the left and right channels separately if they are uncorrelated, with
    one speaker in each."""


MAX_CORRELATION = 0.1
"""Correlation below which two channels contain one speaker each. Measured: 0.00 for a dialogue
recorded with two microphones; far more for music and films, which are mixed for stereo."""

SIDES = ("left", "right")

FAULTS = {
    "turned_around": "end before they start and are left out",
    "outside": "are outside the video and are left out",
    "clamped": "extend beyond the video and are shortened",
}
"""What is wrong with subtitle cues, by fault code."""


class WordSource(NamedTuple):
    """The words from one source."""

    kind: str
    producer: Producer
    segments: list[Timed]


@stage(
    requires=[probe.name],
    makes=[TRANSCRIPT],
    settings=TranscriptSettings,
    tools=["av", "numpy", "pocketsphinx", "pysubs2"],
    optional_tools=["ctranslate2", "faster-whisper"],
    reads_resources=LOADERS,
    version=2,
)
def transcript(context: StageContext, settings: TranscriptSettings) -> Outcome:
    """Take the words from the first source that has any: side-car, embedded track, recogniser."""
    facts = context.read_document(PROBE, Probe)
    whole = Span(start_ms=0, end_ms=facts.duration_ms)
    try:
        return _write_first_source(context, facts, whole, settings)
    except Unavailable as error:
        return Skipped(str(error), cause=SkipCause.NO_PROVIDER)


def _write_first_source(
    context: StageContext, facts: Probe, whole: Span, settings: TranscriptSettings
) -> Outcome:
    for source in _sources(context, facts, whole, settings):
        if source.segments or source.kind == "recogniser":
            context.write_artifacts(TRANSCRIPT, source.segments)
            return Done(
                producer=source.producer,
                counts={
                    "segments": len(source.segments),
                    "words": sum(len(_words(segment)) for segment in source.segments),
                },
                metrics={"source": source.kind},
            )
        context.warn("no_words", f"no words inside the video in: {source.kind}")
    return Skipped(_skip_reason(facts, settings), cause=SkipCause.NO_INPUT)


def convert_cues(
    cues: Iterable[Cue], whole: Span, language: str | None
) -> tuple[list[Timed], dict[str, int]]:
    """Convert cues to segments, ordered by time, and count the faults by code.

    Spans are clamped to the media. A cue that ends before it starts, is outside the media, or has
    no text is left out.
    """
    segments: list[Timed] = []
    faults = {"turned_around": 0, "outside": 0, "clamped": 0}
    for cue in cues:
        if not cue.text:
            continue
        if cue.start_ms > cue.end_ms:
            faults["turned_around"] += 1
            continue
        cue_span = Span(start_ms=cue.start_ms, end_ms=cue.end_ms)
        span = cue_span.clamped(whole)
        if span is None or (span.duration_ms == 0 and cue_span.duration_ms > 0):
            faults["outside"] += 1
            continue
        faults["clamped"] += span != cue_span
        payload = TranscriptSegmentV1(
            text=cue.text, speaker=cue.speaker, confidence=None, language=language
        )
        segments.append(Timed(span.start_ms, span.end_ms, payload))
    return sorted(segments, key=lambda timed: timed.sort_key), faults


def _sources(
    context: StageContext, facts: Probe, whole: Span, settings: TranscriptSettings
) -> Iterator[WordSource]:
    """Yield the sources of words, best first; each is read only when it is requested."""
    if settings.subtitles:
        for side_car in list(context.sources.values())[1:]:
            yield _from_side_car(context, side_car, whole)
        for track in facts.subtitles:
            cues = subtitles.read_embedded(context.source, track.track)
            producer = Producer(name="pyav", version=metadata.version("av"))
            yield _from_cues(context, "embedded subtitles", producer, cues, whole, track.language)
    if settings.recognise and facts.audio is not None:
        yield _from_recogniser(context, facts.audio, whole, settings)


def _from_side_car(context: StageContext, path: Path, whole: Span) -> WordSource:
    """Read the subtitle file beside the video; no words, with a warning, if it is unreadable."""
    try:
        cues = subtitles.read_side_car(path)
    except Invalid as error:
        context.warn("side_car_unreadable", str(error))
        cues = []
    language = subtitles.side_car_language(path)
    producer = Producer(name="pysubs2", version=metadata.version("pysubs2"))
    return _from_cues(context, "side-car subtitles", producer, cues, whole, language)


def _from_cues(
    context: StageContext,
    kind: str,
    producer: Producer,
    cues: Iterable[Cue],
    whole: Span,
    language: str | None,
) -> WordSource:
    segments, faults = convert_cues(cues, whole, language)
    for code, count in faults.items():
        if count:
            context.warn(f"cues_{code}", f"{kind}: {count} cues {FAULTS[code]}", cues=count)
    return WordSource(kind, producer, segments)


def _from_recogniser(
    context: StageContext, audio: AudioFacts, whole: Span, settings: TranscriptSettings
) -> WordSource:
    """Recognise speech in the whole first audio track."""
    recogniser = load_first_available(context, settings.models, LOADERS, PocketSphinx)
    segments, clamped = [], 0
    sides = _separate_sides(context, audio, settings)
    for number, side in enumerate(sides):
        channel = None if side is None else SIDES.index(side)
        sound = _read_sound(context, whole, channel, (number, len(sides)))
        for utterance in recogniser.recognise(sound):
            spoken = Span(start_ms=utterance.start_ms, end_ms=utterance.end_ms)
            span = spoken.clamped(whole)
            clamped += span != spoken
            if span is not None:
                payload = TranscriptSegmentV1(
                    text=utterance.text,
                    speaker=side,
                    confidence=utterance.confidence,
                    language=utterance.language,
                )
                segments.append(Timed(span.start_ms, span.end_ms, payload))
    if segments and isinstance(recogniser, PocketSphinx):
        context.warn(
            "built_in_recogniser",
            "the words were recognised by the built-in recogniser: they are good for finding words "
            "in clear English, not for reading",
        )
    if clamped:
        context.warn(
            "clamped",
            f"{clamped} recognised segments extend beyond the end and are shortened",
            segments=clamped,
        )
    segments.sort(key=lambda timed: timed.sort_key)
    return WordSource("recogniser", recogniser.producer, segments)


def _separate_sides(
    context: StageContext, audio: AudioFacts, settings: TranscriptSettings
) -> tuple[str, ...] | tuple[None]:
    """Return the channels to transcribe separately, or (None,) for the mix of all channels."""
    if not settings.channels or audio.channels != len(SIDES):
        return (None,)
    correlation = channel_correlation(context.source, rate=speech.RATE)
    return SIDES if abs(correlation) < MAX_CORRELATION else (None,)


def _read_sound(
    context: StageContext, whole: Span, channel: int | None, part: tuple[int, int]
) -> Iterator["NDArray[np.int16]"]:
    """Yield the sound in blocks, and report progress.

    `part`: (index of this pass over the sound, number of passes).
    """
    samples = 0
    before, parts = part
    length_s = whole.end_ms / 1000
    for block in SoundReader(context.source, rate=speech.RATE, channel=channel):
        samples += len(block)
        context.progress(before * length_s + samples / speech.RATE, parts * length_s)
        yield block


def _words(segment: Timed) -> list[str]:
    payload = segment.payload
    return payload.text.split() if isinstance(payload, TranscriptSegmentV1) else []


def _skip_reason(facts: Probe, settings: TranscriptSettings) -> str:
    if facts.audio is None:
        return "no subtitles and no audio"
    return "no subtitles, and recognition is switched off" if not settings.recognise else "no words"
