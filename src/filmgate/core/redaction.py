"""Redaction: what is told of a run can be kept, and holds no secrets and no personal data."""

import math
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

REDACTED = "[redacted]"
MAX_TEXT = 20_000
"""Characters of one text that are kept: a stage tells, it does not store."""

MAX_DEPTH = 20

_CONFIDENTIAL = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|private[_-]?key|authorization|cookie|session[_-]?id|credentials?|connection[_-]?string|dsn"
)
_PERSONAL_WORDS = r"e?[_-]?mail(?:[_-]?address)?|phone(?:[_-]?number)?|ssn|ip[_-]?address"
_KEY = rf"(?i)(?:^|[_.\s-])(?:{_CONFIDENTIAL}|{_PERSONAL_WORDS})$"
"""Names of fields whose text is never told, by their last words. Numbers are: `tokens`."""

_CAMEL = r"(?<=[a-z0-9])(?=[A-Z])"

_PATTERNS = (
    (r"(?<=://)[^/\s:@]*:[^\s]+(?=@)", REDACTED),  # credentials in an address
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
    (r"\bfg_[a-z0-9]{12}_[\w-]{43}", REDACTED),  # tokens of our own
    (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", REDACTED),  # JSON web tokens
    (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|\Z)", REDACTED),
    (
        r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[A-Za-z]{2,24}\b",
        REDACTED,
    ),  # e-mail addresses
    (r"(?<![\w.+])\+\d[\d ()/-]{7,20}\d\b", REDACTED),  # international phone numbers
)
_HINT = r"[:=@+]|--|AKIA|ASIA|gh[pousr]_|fg_|sk-|eyJ|(?i:bearer|authorization)"
"""What every pattern needs to be there; most of what is told has none of it."""

_compiled = cache(re.compile)  # when they are first needed: the engine is to load quickly


def redact(value: Any) -> Any:
    """The same value without secrets and personal data: by the names of fields, and by patterns
    in text. What looks harmless stays; a stage should not tell what it need not."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: _struck(held) if _is_secret(str(key)) else redact(held)
            for key, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(each) for each in value]
    return value


@lru_cache(maxsize=1024)
def redact_text(text: str) -> str:
    """The text with every secret that a pattern knows replaced."""
    if not _compiled(_HINT).search(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = _compiled(pattern).sub(replacement, text)
    return text


def storable(value: Any, depth: int = 0) -> Any:
    """The same value as JSON in UTF-8 can hold it: text cut to 20,000 characters, undecodable
    bytes of file names escaped, numbers that JSON lacks and everything else as text, and what
    is nested deeper than 20 left out."""
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, str):
        return _storable_text(value)
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if value is None or is_number:
        return value
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(held, depth + 1) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [storable(each, depth + 1) for each in value]
    return _storable_text(str(value))


def _storable_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _struck(value: Any) -> Any:
    """A value under a secret name: its text gone, its numbers and flags not."""
    if isinstance(value, str):
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _struck(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_struck(each) for each in value]
    return value


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return bool(_compiled(_KEY).search(_compiled(_CAMEL).sub("_", key)))
