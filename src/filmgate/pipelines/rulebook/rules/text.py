"""Text as people mean it, of characters as typesetters set them."""

import re
from functools import lru_cache
from unicodedata import combining, normalize

SOFT_BREAKS = "\u00ad\ufffe\u0002"
"""A hyphen that only parts a word at the end of a line: U+00AD as set, U+FFFE and U+0002 as pdfium
and older readers hand it on."""

_MARKED_HYPHEN = re.compile(rf"[{SOFT_BREAKS}\u2010\u2011-]{{2,}}|[\u2010\u2011]")
"""One visible hyphen written as several characters, as word processors export it."""

_SOFT = re.compile(f"[{SOFT_BREAKS}]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200b-\u200f\u2060\ufeff\uffff]")
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_ODD = re.compile(
    f"[{SOFT_BREAKS}\u2010\u2011\ufb00-\ufb06\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
    "\u200b-\u200f\u2060\ufeff\uffff]|--"
)
"""What is not white space and has to be cleaned away."""

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "−": "-", "–": "-", "—": "-"})
_UNKEYED = re.compile(r"(?:[^\w+]|_)+")


@lru_cache(maxsize=65536)
def cleaned(raw: str) -> str:
    """One line of plain text: single spaces, plain hyphens, no soft ones, no ligatures."""
    if _ODD.search(raw) is None:
        return " ".join(raw.split())
    text = _CONTROL.sub("", _SOFT.sub("", _MARKED_HYPHEN.sub(_one_hyphen, raw)))
    return _LIGATURE.sub(lambda found: normalize("NFKC", found[0]), " ".join(text.split()))


def _one_hyphen(found: re.Match[str]) -> str:
    """A hyphen where one is to be seen; hyphens typed in a row stay."""
    run = found[0]
    if set(run) <= set(SOFT_BREAKS):
        return ""
    return run if set(run) == {"-"} else "-"


def operations(raw: str) -> list[str]:
    """What cleaning did to a text, by name."""
    done = []
    if _MARKED_HYPHEN.search(raw) or _SOFT.search(raw):
        done.append("hyphens")
    if _LIGATURE.search(raw):
        done.append("ligatures")
    if _CONTROL.search(_SOFT.sub("", raw)):
        done.append("control_characters")
    if re.search(r"[^\S \n]|  ", raw):
        done.append("spaces")
    return done


def joined(lines: list[str]) -> str:
    """Raw lines of one paragraph as one cleaned line: words that were parted are whole again."""
    text = ""
    for raw in lines:
        line = cleaned(raw)
        if not text:
            text = line
        elif text.endswith("-") and line[:1].islower():
            text += line
        else:
            text += f" {line}"
        if raw.rstrip()[-1:] in SOFT_BREAKS and not _MARKED_HYPHEN.search(raw.rstrip()[-4:]):
            text = text.rstrip() + "\u00ad"
    return cleaned(re.sub("\u00ad ?", "", text))


@lru_cache(maxsize=65536)
def folded(text: str) -> str:
    """Cleaned, in small letters, without accents, quotes and dashes plain."""
    plain = cleaned(text).translate(_QUOTES)
    if not plain.isascii():
        plain = "".join(c for c in normalize("NFKD", plain) if not combining(c))
    return plain.lower()


@lru_cache(maxsize=65536)
def key(text: str) -> str:
    """What two spellings of one title have in common: letters of any script, digits, plus
    signs."""
    return _UNKEYED.sub("", folded(text))


def slug(text: str) -> str:
    """A title as a part of an id."""
    return _UNKEYED.sub("-", folded(text)).strip("-")
