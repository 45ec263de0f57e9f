"""Generate a Whisper model in CTranslate2's format that returns the same words for any audio."""

from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models

SIZE, MELS, TEXT_CONTEXT, AUDIO_CONTEXT = 64, 80, 448, 1500
WORDS = ["gate", "is", "checked"]
SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
STAMPS = [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
VOCABULARY = ["<unk>", *WORDS, *SPECIAL, *STAMPS]
OUTPUT = ["<|0.00|>", *WORDS, "<|1.00|>", "<|endoftext|>"]
"""Output tokens of the model, which depend on the position only."""


def write_whisper_model(folder: Path) -> Path:
    """Write a model that recognises `WORDS` from 0 to 1 s in any audio."""
    spec = WhisperSpec(1, 1, 1, 1)
    directions = {token: number for number, token in enumerate(dict.fromkeys(OUTPUT))}
    token_embeddings = np.zeros((len(VOCABULARY), SIZE), np.float32)
    for token, direction in directions.items():
        token_embeddings[VOCABULARY.index(token), direction] = 1.0
    position_embeddings = np.zeros((TEXT_CONTEXT, SIZE), np.float32)
    for position in range(TEXT_CONTEXT):
        token = OUTPUT[min(position, len(OUTPUT) - 1)]
        position_embeddings[position, directions[token]] = 10.0
    _fill_encoder(spec.encoder)
    _fill_decoder(spec.decoder, token_embeddings, position_embeddings)
    spec.register_vocabulary(VOCABULARY)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = []
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    folder.mkdir(parents=True)
    spec.save(str(folder))
    tokens = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="<unk>"))
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _fill_encoder(encoder: Any) -> None:
    for conv, inputs in ((encoder.conv1, MELS), (encoder.conv2, SIZE)):
        conv.weight, conv.bias = _tiny_weights(SIZE, inputs, 3), np.zeros(SIZE, np.float32)
    encoder.position_encodings.encodings = np.zeros((AUDIO_CONTEXT, SIZE), np.float32)
    _fill_norm(encoder.layer_norm)
    for layer in encoder.layer:
        _fill_attention(layer.self_attention, (3 * SIZE, SIZE))
        _fill_forward(layer.ffn)


def _fill_decoder(
    decoder: Any, token_embeddings: NDArray[Any], position_embeddings: NDArray[Any]
) -> None:
    decoder.embeddings.weight = token_embeddings
    decoder.projection.weight = token_embeddings
    decoder.position_encodings.encodings = position_embeddings
    _fill_norm(decoder.layer_norm)
    for layer in decoder.layer:
        _fill_attention(layer.self_attention, (3 * SIZE, SIZE))
        _fill_attention(layer.attention, (SIZE, 2 * SIZE, SIZE))
        _fill_forward(layer.ffn)


def _fill_attention(attention: Any, sizes: tuple[int, ...]) -> None:
    _fill_norm(attention.layer_norm)
    for linear, size in zip(attention.linear, sizes, strict=True):
        _fill_linear(linear, size, SIZE)


def _fill_forward(forward: Any) -> None:
    _fill_norm(forward.layer_norm)
    _fill_linear(forward.linear_0, 4 * SIZE, SIZE)
    _fill_linear(forward.linear_1, SIZE, 4 * SIZE)


def _fill_linear(linear: Any, outputs: int, inputs: int) -> None:
    linear.weight, linear.bias = _tiny_weights(outputs, inputs), np.zeros(outputs, np.float32)


def _fill_norm(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)


def _tiny_weights(*shape: int) -> NDArray[np.float32]:
    return np.full(shape, 1e-6, np.float32)
