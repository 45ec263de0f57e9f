"""Clean and normalise text that was extracted from typeset pages."""

import re
from functools import lru_cache
from unicodedata import combining, normalize

SOFT_BREAKS = "\u00ad\ufffe\u0002"
"""Characters for a soft hyphen, which only splits a word at the end of a line: U+00AD as typeset,
U+FFFE and U+0002 as returned by pdfium and older readers."""

_MARKED_HYPHEN = re.compile(rf"[{SOFT_BREAKS}\u2010\u2011-]{{2,}}|[\u2010\u2011]")
"""A visible hyphen; word processors export some as several characters."""

_SOFT = re.compile(f"[{SOFT_BREAKS}]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200b-\u200f\u2060\ufeff\uffff]")
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_UNCLEAN = re.compile(
    f"[{SOFT_BREAKS}\u2010\u2011\ufb00-\ufb06\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
    "\u200b-\u200f\u2060\ufeff\uffff]|--"
)
"""Characters other than white space that cleaning changes."""

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "−": "-", "–": "-", "—": "-"})
_UNKEYED = re.compile(r"(?:[^\w+]|_)+")


@lru_cache(maxsize=65536)
def clean_text(raw: str) -> str:
    """Return one line of plain text: single spaces, plain hyphens, no soft hyphens or ligatures."""
    if _UNCLEAN.search(raw) is None:
        return " ".join(raw.split())
    text = _CONTROL.sub("", _SOFT.sub("", _MARKED_HYPHEN.sub(_merge_hyphens, raw)))
    return _LIGATURE.sub(lambda match: normalize("NFKC", match[0]), " ".join(text.split()))


def _merge_hyphens(match: re.Match[str]) -> str:
    """Replace a run of hyphens by one; return "" for soft hyphens only, and typed hyphens as is."""
    run = match[0]
    if set(run) <= set(SOFT_BREAKS):
        return ""
    return run if set(run) == {"-"} else "-"


def list_operations(raw: str) -> list[str]:
    """Return the names of the cleaning operations that change a text."""
    names = []
    if _MARKED_HYPHEN.search(raw) or _SOFT.search(raw):
        names.append("hyphens")
    if _LIGATURE.search(raw):
        names.append("ligatures")
    if _CONTROL.search(_SOFT.sub("", raw)):
        names.append("control_characters")
    if re.search(r"[^\S \n]|  ", raw):
        names.append("spaces")
    return names


def join_lines(lines: list[str]) -> str:
    """Join the raw lines of a paragraph into one cleaned line; hyphenated words are rejoined."""
    text = ""
    for raw in lines:
        line = clean_text(raw)
        if not text:
            text = line
        elif text.endswith("-") and line[:1].islower():
            text += line
        else:
            text += f" {line}"
        if raw.rstrip()[-1:] in SOFT_BREAKS and not _MARKED_HYPHEN.search(raw.rstrip()[-4:]):
            text = text.rstrip() + "\u00ad"
    return clean_text(re.sub("\u00ad ?", "", text))


@lru_cache(maxsize=65536)
def fold_text(text: str) -> str:
    """Return cleaned text in lower case, without accents, with ASCII quotes and dashes."""
    plain = clean_text(text).translate(_QUOTES)
    if not plain.isascii():
        plain = "".join(c for c in normalize("NFKD", plain) if not combining(c))
    return plain.lower()


@lru_cache(maxsize=65536)
def match_key(text: str) -> str:
    """Return a key that is equal for all spellings of the same title.

    It consists of the folded letters (of any script), digits and plus signs.
    """
    return _UNKEYED.sub("", fold_text(text))


def make_slug(text: str) -> str:
    """Return a title as part of an id."""
    return _UNKEYED.sub("-", fold_text(text)).strip("-")
