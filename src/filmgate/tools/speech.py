"""The built-in speech recogniser: PocketSphinx with the English model inside its wheel.

It is good enough to find words in clear English speech, but not to make a readable transcript;
current models do far better.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filmgate.core.plan import Producer
from filmgate.core.providers import RecognisedSpeech
from filmgate.tools.weights import digest_of_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 16_000
"""Samples per second of the audio on which the model was trained."""

LONGEST_UTTERANCE_S = 15
"""Longest stretch of speech without a pause, in seconds; a longer one is cut, to limit memory and
search time."""

PAUSE_S = 0.5
"""Maximum pause between words of one segment, in seconds; a longer pause starts a new segment, so
that the times of words stay precise."""

LANGUAGE = "en"

FAST_OPTIONS = {"ds": 2, "maxhmmpf": 3000, "maxwpf": 10}
"""Decoder options: the scores of every second frame are used twice, and the search is pruned. On a
speech and a poem (the only two clips tried) decoding was two and a half to four times as fast, and
not worse: 82 % and 37 % of the words, instead of 68 % and 37 %."""


class _Word(Protocol):
    """PocketSphinx's segment: a word, with its first and last frame."""

    word: str
    start_frame: int
    end_frame: int
    prob: float


class PocketSphinx:
    """Implements the port `Recogniser`. The confidence is the words' mean posterior probability."""

    @cached_property
    def producer(self) -> Producer:
        """PocketSphinx's version, and the digest of its model's files."""
        import pocketsphinx  # slow to import

        return Producer(
            name="pocketsphinx",
            version=metadata.version("pocketsphinx"),
            weights_sha256=digest_of_weights(Path(pocketsphinx.get_model_path()) / "en-us"),
        )

    def recognise(self, blocks: Iterable["NDArray[np.int16]"]) -> Iterator[RecognisedSpeech]:
        """Yield the spoken segments in one channel of audio at `RATE`.

        Each utterance is decoded whole and separately, so that the result depends neither on the
        size of the blocks nor on earlier utterances.
        """
        import pocketsphinx  # slow to import

        decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", **FAST_OPTIONS)
        frames_per_s = int(decoder.config["frate"])
        for start, samples in utterances(blocks):
            decoder.start_utt()
            decoder.process_raw(samples, full_utt=True)
            decoder.end_utt()
            begin_ms = start * 1000 // RATE
            for words in _split_at_pauses(decoder.seg() or (), pause=PAUSE_S * frames_per_s):
                yield RecognisedSpeech(
                    start_ms=begin_ms + words[0].start_frame * 1000 // frames_per_s,
                    end_ms=begin_ms + (words[-1].end_frame + 1) * 1000 // frames_per_s,
                    text=" ".join(_without_variant(word.word) for word in words),
                    confidence=_mean_confidence(words),
                    language=LANGUAGE,
                )


def utterances(blocks: Iterable["NDArray[np.int16]"]) -> Iterator[tuple[int, bytes]]:
    """Yield (index of the first sample, 16-bit samples) of every utterance.

    Utterances are found by voice activity detection.
    """
    import pocketsphinx  # slow to import

    endpointer = pocketsphinx.Endpointer(sample_rate=RATE)
    size = endpointer.frame_bytes
    max_bytes = LONGEST_UTTERANCE_S * RATE * 2
    start, speech = 0, bytearray()
    for frame, is_last in _split_into_frames(blocks, size):
        was_in_speech = endpointer.in_speech
        voiced = endpointer.end_stream(frame) if is_last else endpointer.process(frame)
        if voiced is None:
            continue
        if not was_in_speech:
            start, speech = round(endpointer.speech_start * RATE), bytearray()
        speech += voiced
        if not endpointer.in_speech:
            yield start, bytes(speech)
        elif len(speech) >= max_bytes:
            yield start, bytes(speech)
            start, speech = start + len(speech) // 2, bytearray()


def _split_at_pauses(words: Iterable[_Word], *, pause: float) -> Iterator[list[_Word]]:
    """Split the words of an utterance, without fillers, at silences longer than `pause` frames."""
    phrase: list[_Word] = []
    for word in words:
        if _is_filler(word.word):
            continue
        if phrase and word.start_frame - phrase[-1].end_frame > pause:
            yield phrase
            phrase = []
        phrase.append(word)
    if phrase:
        yield phrase


def _split_into_frames(
    blocks: Iterable["NDArray[np.int16]"], size: int
) -> Iterator[tuple[bytes, bool]]:
    """Yield (bytes, whether they are the last): `size` bytes each; the last may be shorter."""
    buffer = bytearray()
    for block in blocks:
        buffer += block.tobytes()
        while len(buffer) > size:
            yield bytes(buffer[:size]), False
            del buffer[:size]
    if buffer:
        yield bytes(buffer), True


def _is_filler(word: str) -> bool:
    return word.startswith(("<", "[", "+"))


def _without_variant(word: str) -> str:
    """Remove the number of the pronunciation variant: `the(2)` becomes `the`."""
    return word.partition("(")[0]


def _mean_confidence(words: list[_Word]) -> float:
    probabilities = [min(1.0, max(0.0, float(word.prob))) for word in words]
    return round(sum(probabilities) / len(probabilities), 4)
