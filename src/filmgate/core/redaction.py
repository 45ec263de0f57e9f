"""Make events and errors storable: remove secrets and personal data, limit size and depth."""

import math
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from filmgate.core.secret_forms import CONFIDENTIAL, FORMS, NUMBERS, REDACTED, Form

MAX_TEXT = 20_000
"""Longest text in an event or error, in characters; longer texts are cut."""

MAX_DEPTH = 20
"""Deepest nesting in an event or error; deeper values are replaced by `…`."""

_PERSONAL_WORDS = (
    r"e?[_-]?mail(?:[_-]?address)?|phone(?:[_-]?number)?|ssn|card[_-]?number|ip[_-]?address"
)
_KEY = rf"(?i)(?:^|[_.\s-])(?:{CONFIDENTIAL}|{_PERSONAL_WORDS})$"
"""Pattern of the names of fields whose text is redacted. Numbers in such fields are kept."""

_CAMEL = r"(?<=[a-z0-9])(?=[A-Z])"

_HINTS = [(hint, form.name) for form in FORMS for hint in form.hints]

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
    """Replace every secret in a text that has one of the forms in `FORMS`."""
    lower = text.lower()
    hinted = {name for hint, name in _HINTS if hint in lower}
    has_numbers = _compiled(NUMBERS).search(text) is not None
    if hinted or has_numbers:
        for form in FORMS:
            if form.name in hinted or (has_numbers and not form.hints):
                text = redact_form(form, text)
    return text


def redact_form(form: Form, text: str) -> str:
    """Replace every secret of one form in a text."""

    def replacement(found: re.Match[str]) -> str:
        if form.is_secret is not None and not form.is_secret(found):
            return found[0]
        return found.groupdict().get("keep", "") + REDACTED

    return _compiled(form.pattern).sub(replacement, text)


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
