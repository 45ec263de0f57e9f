"""Make events and errors storable: remove secrets and personal data, limit size and depth."""

import math
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

REDACTED = "[redacted]"
MAX_TEXT = 20_000
"""Longest text in an event or error, in characters; longer texts are cut."""

MAX_DEPTH = 20
"""Deepest nesting in an event or error; deeper values are replaced by `…`."""

_CONFIDENTIAL = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|private[_-]?key|authorization|cookie|session[_-]?id|credentials?|connection[_-]?string|dsn"
)
_PERSONAL_WORDS = r"e?[_-]?mail(?:[_-]?address)?|phone(?:[_-]?number)?|ssn|ip[_-]?address"
_KEY = rf"(?i)(?:^|[_.\s-])(?:{_CONFIDENTIAL}|{_PERSONAL_WORDS})$"
"""Pattern of the names of fields whose text is redacted. Numbers in such fields are kept."""

_CAMEL = r"(?<=[a-z0-9])(?=[A-Z])"

_PATTERNS = (
    (r"(?<=://)[^/\s:@]*:[^\s]+(?=@)", REDACTED),  # credentials in a URL
    (r"(?i)\b(bearer)\s+[a-z0-9._~+/=-]{8,}", rf"\1 {REDACTED}"),
    (r"(?i)\b(authorization\W+basic)\s+[a-z0-9+/=]{4,}", rf"\1 {REDACTED}"),
    (
        rf"(?i)((?:\b|_|-)(?:{_CONFIDENTIAL})[\"']?\s*[=:]\s*)"
        r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&\"'})\]]+)",
        rf"\1{REDACTED}",
    ),
    (rf"(?i)(--(?:[a-z-]*-)?(?:{_CONFIDENTIAL})\s+)[^\s-]\S*", rf"\1{REDACTED}"),
    (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", REDACTED),  # AWS access key ids
    (r"\bgh[pousr]_[A-Za-z0-9]{20,}\b", REDACTED),  # GitHub tokens
    (r"\bsk-[A-Za-z0-9_-]{16,}\b", REDACTED),  # keys of model services
    (r"\bfg_[a-z0-9]{12}_[\w-]{43}", REDACTED),  # Filmgate tokens
    (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", REDACTED),  # JSON web tokens
    (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|\Z)", REDACTED),
    (
        r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[A-Za-z]{2,24}\b",
        REDACTED,
    ),  # e-mail addresses
    (r"(?<![\w.+])\+\d[\d ()/-]{7,20}\d\b", REDACTED),  # international phone numbers
)
_PREFILTER = r"[:=@+]|--|AKIA|ASIA|gh[pousr]_|fg_|sk-|eyJ|(?i:bearer|authorization)"
"""Matches every text that one of the patterns can match; most texts do not match it."""

_compiled = cache(re.compile)  # compiled at first use, so that the engine loads quickly


def redact(value: object, *, is_secret: bool = False) -> Any:
    """Replace secrets and personal data, found by field names and by patterns in text.

    If `is_secret`, replace every text; numbers and flags are kept. Secrets that neither a name nor
    a pattern matches remain: a stage should not put them into events.
    """
    if isinstance(value, str):
        return REDACTED if is_secret else redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: redact(item, is_secret=is_secret or _is_secret(str(key)))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item, is_secret=is_secret) for item in value]
    return value


@lru_cache(maxsize=1024)
def redact_text(text: str) -> str:
    """Replace every match of the secret patterns in a text."""
    if not _compiled(_PREFILTER).search(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = _compiled(pattern).sub(replacement, text)
    return text


def to_json_value(value: object, depth: int = 0) -> Any:
    """Convert a value to one that can be written as JSON in UTF-8.

    Text is cut to `MAX_TEXT` characters, and undecodable bytes of file names are escaped.
    NaN, infinities and values of other types become text. Values deeper than `MAX_DEPTH` become
    `…`.
    """
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, str):
        return _to_json_text(value)
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if value is None or is_number:
        return value
    if isinstance(value, Mapping):
        return {
            to_json_value(str(key)): to_json_value(item, depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [to_json_value(item, depth + 1) for item in value]
    return _to_json_text(str(value))


def _to_json_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return bool(_compiled(_KEY).search(_compiled(_CAMEL).sub("_", key)))
