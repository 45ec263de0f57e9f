"""Speech recogniser Whisper, run by faster-whisper, with weights from the model folder."""

from collections.abc import Iterable, Iterator
from importlib import metadata
from math import exp
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid, Unavailable
from filmgate.core.plan import Producer
from filmgate.core.providers import RecognisedSpeech
from filmgate.core.resources import Resource
from filmgate.tools.speech import RATE, utterances
from filmgate.tools.weights import verified_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THREADS = 2
FULL_SCALE = 32768
"""Largest amplitude of 16-bit samples; Whisper requires samples between -1 and 1."""


class FasterWhisper:
    """Whisper (Radford et al. 2022) in CTranslate2's format: a folder with `model.bin`.

    Audio is split at silences and each utterance transcribed separately, because Whisper invents
    text for silence, and so that memory does not grow with the length of the film.
    """

    def __init__(self, resource: Resource) -> None:
        try:
            from faster_whisper import WhisperModel  # slow to import
        except ImportError as error:
            raise Unavailable(
                "faster-whisper is not installed",
                expected="the distribution faster-whisper, to run the model that was added",
                got=str(error),
                hint="pip install 'filmgate[whisper]'",
            ) from error
        self.producer = Producer(
            name=resource.name,
            version=metadata.version("faster-whisper"),
            weights_sha256=resource.sha256,
        )
        folder = verified_folder(resource)
        try:
            self._model = WhisperModel(
                str(folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=THREADS,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise Invalid(
                f"the weights of {resource.name} cannot be used",
                expected="a folder with a Whisper model in CTranslate2's format: model.bin, "
                "config.json, tokenizer.json, vocabulary",
                got=str(error).splitlines()[0][:200],
                hint=f"filmgate models add {resource.name} FOLDER --replace",
            ) from error

    def recognise(self, blocks: Iterable["NDArray[np.int16]"]) -> Iterator[RecognisedSpeech]:
        """Yield the segments of each utterance, as Whisper splits it."""
        import numpy as np  # slow to import

        for start, samples in utterances(blocks):
            sound = np.frombuffer(samples, dtype=np.int16).astype(np.float32) / FULL_SCALE
            length_ms = len(sound) * 1000 // RATE
            begin_ms = start * 1000 // RATE
            segments, info = self._model.transcribe(
                sound, beam_size=5, temperature=0.0, condition_on_previous_text=False
            )
            for segment in segments:
                text = " ".join(segment.text.split())
                if text:
                    first = min(max(0, round(segment.start * 1000)), length_ms)
                    last = min(max(first, round(segment.end * 1000)), length_ms)
                    yield RecognisedSpeech(
                        start_ms=begin_ms + first,
                        end_ms=begin_ms + last,
                        text=text,
                        confidence=_probability(segment.avg_logprob),
                        language=info.language,
                    )


def _probability(log_probability: float) -> float:
    """Convert a mean log probability to a probability, 0 to 1."""
    return round(min(1.0, max(0.0, exp(log_probability))), 4)
