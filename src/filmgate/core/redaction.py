"""Redaction: what is told of a run holds no secrets and no personal data."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_KEYS = re.compile(
    r"(^|[_.-])(password|passwd|pwd|secret|token|api_?key|access_?key(_?id)?|private_?key"
    r"|authorization|auth|cookie|session_?id|credentials?|connection_?string|dsn"
    r"|e?mail|e_?mail_?address|phone|phone_?number|ssn|ip|ip_?address)$",
    re.IGNORECASE,
)
"""Names of fields whose values are never told, by their last word. `tokens`, a count, is."""

_PATTERNS = (
    (re.compile(r"(?<=://)[^/\s:@]*:[^\s@]+(?=@)"), REDACTED),  # credentials in an address
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"), rf"\1 {REDACTED}"),
    (
        re.compile(
            r"(?i)\b((?:[a-z0-9_]*_)?(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)"
            r"\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), REDACTED),  # AWS access key ids
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}\b"), REDACTED),  # GitHub tokens
    (re.compile(r"\bsk-[A-Za-z0-9_-]{16,}\b"), REDACTED),  # keys of model services
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), REDACTED),  # JSON web tokens
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|\Z)", re.S),
        REDACTED,
    ),
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), REDACTED),  # e-mail addresses
    (re.compile(r"(?<![\w.+])\+\d[\d ()/-]{7,}\d\b"), REDACTED),  # international phone numbers
)


_HINT = re.compile(r"[:=@+]|AKIA|ASIA|gh[pousr]_|sk-|eyJ|-----BEGIN|(?i:bearer|basic)")
"""What every pattern needs to be there; most of what is told has none of it."""


def redact(value: Any) -> Any:
    """The same JSON value without secrets and personal data: by the names of fields, and by
    patterns in text. What looks harmless stays; a stage should not tell what it need not."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: REDACTED if _is_secret(key, held) else redact(held) for key, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(each) for each in value]
    return value


@lru_cache(maxsize=4096)
def redact_text(text: str) -> str:
    """The text with every secret that a pattern knows replaced."""
    if not _HINT.search(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _is_secret(key: object, held: Any) -> bool:
    return isinstance(held, str) and bool(_KEYS.search(str(key)))
