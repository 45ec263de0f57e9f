"""Canonical JSON and digests: the same value has the same bytes, everywhere."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Any) -> bytes:
    """Encode a JSON value as UTF-8 with sorted keys and no spaces.

    Raises ValueError for NaN and infinities, which JSON does not have.
    """
    return _CANONICAL.encode(value).encode("utf-8")


def sha256_hex(data: bytes) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest(data: bytes) -> str:
    """A self-describing digest, `sha256:…`."""
    return f"sha256:{sha256_hex(data)}"


def digest_of(value: Any) -> str:
    """`sha256:…` of a value's canonical JSON."""
    return digest(canonical_json(value))


def listing_digest(digests: Mapping[str, str]) -> str:
    """sha256 (hex) of a folder: of its sorted listing, name and digest of each file."""
    return sha256_hex(canonical_json(dict(digests)))
