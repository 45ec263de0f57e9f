"""Canonical JSON and SHA-256 digests: equal values have equal bytes on every machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
"""A value that JSON can contain."""

JsonObject = Mapping[str, JsonValue]

JsonDict = dict[str, Any]
"""A parsed JSON object whose fields are not declared here, such as a payload or a schema."""

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: object) -> bytes:
    """Encode a JSON value as UTF-8 with sorted keys and no spaces.

    Raises ValueError for NaN and infinities, which JSON cannot represent.
    """
    return _CANONICAL.encode(value).encode("utf-8")


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data`, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest(data: bytes) -> str:
    """SHA-256 of `data`, as `sha256:{hex}`."""
    return f"sha256:{sha256_hex(data)}"


def digest_of(value: object) -> str:
    """SHA-256 of a value's canonical JSON, as `sha256:{hex}`."""
    return digest(canonical_json(value))


def listing_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 (hex) of a folder, from the sorted names and digests of its files."""
    return sha256_hex(canonical_json(dict(digests)))
