"""The built-in speech recogniser: PocketSphinx with the English model inside its wheel.

Good for finding words in clear English speech, not for reading; a real model does far better.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.core.plan import Producer
from filmgate.core.providers import Heard
from filmgate.tools.weights import digest_of_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 16_000
"""Samples a second that the model was trained on."""

LONGEST_UTTERANCE_S = 15
"""Where speech goes on without a pause it is cut, so that memory and search stay bounded."""

PAUSE_S = 0.5
"""Words further apart than that stand in segments of their own, so that each is found in time."""

LANGUAGE = "en"

QUICK = {"ds": 2, "maxhmmpf": 3000, "maxwpf": 10}
"""Every second frame's scores are used twice, and the search is pruned. On a speech and a poem
(the only two clips it was tried on) that is two and a half to four times as fast, and no worse:
82 % and 37 % of the words against 68 % and 37 %."""


class PocketSphinx:
    """The port `Recogniser`. Its confidence: the mean posterior probability of the words."""

    @cached_property
    def producer(self) -> Producer:
        """Which version, and the digest of its model's files."""
        import pocketsphinx  # heavy

        return Producer(
            name="pocketsphinx",
            version=metadata.version("pocketsphinx"),
            weights_sha256=digest_of_weights(Path(pocketsphinx.get_model_path()) / "en-us"),
        )

    def recognise(self, blocks: Iterable["NDArray[np.int16]"]) -> Iterator[Heard]:
        """Utterance by utterance."""
        return recognise(blocks)


def recognise(blocks: Iterable["NDArray[np.int16]"]) -> Iterator[Heard]:
    """What is said in one channel of sound at `RATE`, utterance by utterance.

    Each utterance is decoded whole and by itself, so that the result depends neither on how
    the sound was cut into blocks nor on what was said before.
    """
    import pocketsphinx  # heavy

    decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", **QUICK)
    frames_per_s = int(decoder.config["frate"])
    for start, samples in utterances(blocks):
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        begin_ms = start * 1000 // RATE
        for words in _phrases(decoder.seg() or (), pause=PAUSE_S * frames_per_s):
            yield Heard(
                start_ms=begin_ms + words[0].start_frame * 1000 // frames_per_s,
                end_ms=begin_ms + (words[-1].end_frame + 1) * 1000 // frames_per_s,
                text=" ".join(_spelled(word.word) for word in words),
                confidence=_mean_confidence(words),
                language=LANGUAGE,
            )


def utterances(blocks: Iterable["NDArray[np.int16]"]) -> Iterator[tuple[int, bytes]]:
    """(first sample, 16-bit samples) of every stretch of speech, by voice activity detection."""
    import pocketsphinx  # heavy

    endpointer = pocketsphinx.Endpointer(sample_rate=RATE)
    size = endpointer.frame_bytes
    longest = LONGEST_UTTERANCE_S * RATE * 2
    start, speech = 0, bytearray()
    for frame, is_last in _frames(blocks, size):
        was_in_speech = endpointer.in_speech
        heard = endpointer.end_stream(frame) if is_last else endpointer.process(frame)
        if heard is None:
            continue
        if not was_in_speech:
            start, speech = round(endpointer.speech_start * RATE), bytearray()
        speech += heard
        if not endpointer.in_speech:
            yield start, bytes(speech)
        elif len(speech) >= longest:
            yield start, bytes(speech)
            start, speech = start + len(speech) // 2, bytearray()


def _phrases(segments: Iterable[Any], *, pause: float) -> Iterator[list[Any]]:
    """The words of an utterance, without fillers, parted where nothing is said for `pause`."""
    phrase: list[Any] = []
    for word in segments:
        if _is_filler(word.word):
            continue
        if phrase and word.start_frame - phrase[-1].end_frame > pause:
            yield phrase
            phrase = []
        phrase.append(word)
    if phrase:
        yield phrase


def _frames(blocks: Iterable["NDArray[np.int16]"], size: int) -> Iterator[tuple[bytes, bool]]:
    """The sound in pieces of exactly `size` bytes; the last, marked, may be shorter."""
    waiting = bytearray()
    for block in blocks:
        waiting += block.tobytes()
        while len(waiting) > size:
            yield bytes(waiting[:size]), False
            del waiting[:size]
    if waiting:
        yield bytes(waiting), True


def _is_filler(word: str) -> bool:
    return word.startswith(("<", "[", "+"))


def _spelled(word: str) -> str:
    """The word without the number of its pronunciation: `the` of `the(2)`."""
    return word.partition("(")[0]


def _mean_confidence(words: list[Any]) -> float:
    likely = [min(1.0, max(0.0, float(word.prob))) for word in words]
    return round(sum(likely) / len(likely), 4)
