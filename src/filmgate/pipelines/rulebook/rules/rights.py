"""Rights: find the licence and the attribution that a book states."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

from filmgate.core.books import NON_TEXT_ROLES, Line, Page, Role
from filmgate.pipelines.rulebook.rules.styles import LARGER, find_body_size
from filmgate.pipelines.rulebook.rules.text import join_lines

MAX_PAGES = 6
"""Number of first pages that are searched, besides the last two."""

MAX_WORDS = 90
"""Number of words to which an attribution is shortened."""

BLOCK_SEPARATOR = "\x1e"
"""Replaces headings in the searched text: no sentence continues after a heading."""

_CC = re.compile(
    r"(?:CC[- ]|Creative Commons[- ])(?:BY|Attribution)"
    r"(?P<more>(?:[- ](?:NC|Non-?Commercial|SA|Share-?Alike|ND|No-?Deriv(?:ative)?s?(?: Works)?))*)"
    r"[- ]*(?:Licen[sc]e[- ]*)?(?P<version>\d\.\d)?",
    re.IGNORECASE,
)
_OTHER_LICENCES = (
    (re.compile(r"Open Game License[^.]{0,20}?(?P<version>\d\.\d)", re.I), "OGL"),
    (re.compile(r"\bMIT License(?P<version>)\b", re.I), "MIT"),
)
_TERMS = (("NC", "nc|noncommercial"), ("SA", "sa|sharealike"), ("ND", "nd|noderiv"))
_NEGATION = re.compile(r"\b(not|never|no longer|except)\b[^.]{0,60}$", re.I)
_REQUESTED = re.compile(
    r"attribution (?:statement|notice|text)[^:]{0,80}:\s*(?P<words>[^\x1e]{20,900})", re.I
)
_QUOTED = re.compile(r"“(?P<words>[^“”]*(?:“[^“”]*”[^“”]*)*)”|\"(?P<plain>[^\"]*)\"")
_TO_READER = re.compile(r"(please|you|section|if|note)\b", re.I)
"""Start of a sentence that addresses the reader and is therefore not part of an attribution."""

_STATEMENT = re.compile(r"licen[sc]e|©|\(c\)|copyright|creative commons", re.I)


def find_rights(pages: Sequence[Page]) -> tuple[str | None, str | None]:
    """Return (licence, attribution) as stated in the book.

    The licence is None if the book states none, or several; the attribution is None if it states
    none.
    """
    searched = [*pages[:MAX_PAGES], *pages[MAX_PAGES:][-2:]]
    body = find_body_size(searched)
    text = BLOCK_SEPARATOR.join(block for page in searched for block in _text_blocks(page, body))
    licences = _find_licences(text)
    licence = next(iter(licences)) if len(licences) == 1 else None
    requested = _REQUESTED.search(text)
    if requested is not None:
        return licence, _extract_attribution(requested["words"])
    return licence, _find_statement(text)


def _text_blocks(page: Page, body: float | None) -> Iterator[str]:
    """Yield the text of a page in blocks, split at headings."""
    lines = [line for line in page.lines if line.role not in NON_TEXT_ROLES]
    for is_heading, block in groupby(lines, key=partial(_is_heading, body=body)):
        if not is_heading:
            yield join_lines([line.text for line in block])


def _is_heading(line: Line, body: float | None) -> bool:
    is_large = body is not None and line.size is not None and line.size >= body * LARGER
    return line.role is Role.HEADING or is_large


def _find_licences(text: str) -> set[str]:
    """Return the names of all licences in a text, except negated ones (`not … under …`)."""
    found = {
        _creative_commons_name(match)
        for match in _CC.finditer(text)
        if not _is_negated(text, match)
    }
    for pattern, name in _OTHER_LICENCES:
        found |= {
            f"{name}-{match['version']}".rstrip("-")
            for match in pattern.finditer(text)
            if not _is_negated(text, match)
        }
    versioned = {name for name in found if name[-1:].isdigit()}
    return versioned | {n for n in found if not any(v.startswith(f"{n}-") for v in versioned)}


def _is_negated(text: str, match: re.Match[str]) -> bool:
    return _NEGATION.search(text[max(0, match.start() - 80) : match.start()]) is not None


def _creative_commons_name(match: re.Match[str]) -> str:
    plain = re.sub(r"[- ]+", " ", match["more"] or "").lower().replace("non commercial", "nc")
    plain = plain.replace("share alike", "sharealike").replace("no deriv", "noderiv")
    terms = [name for name, words in _TERMS if re.search(rf"\b(?:{words})", plain)]
    return "-".join(["CC", "BY", *terms, *filter(None, [match["version"]])])


def _extract_attribution(text: str) -> str:
    """Return the attribution at the start of a text.

    It is the quoted part, or else all sentences up to one that addresses the reader.
    """
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return _shorten(quoted["words"] or quoted["plain"] or "")
    sentences: list[str] = []
    for sentence in _split_sentences(text):
        if sentences and _TO_READER.match(sentence):
            break
        sentences.append(sentence)
    return _shorten(" ".join(sentences))


def _shorten(text: str) -> str:
    return " ".join(text.split()[:MAX_WORDS])


def _split_sentences(text: str) -> list[str]:
    return re.split(r"(?<=[\w)/”\"][.!?])\s+(?=[A-Z©“\"])", text)


def _find_statement(text: str) -> str | None:
    """Return the first sentence that mentions a licence or copyright."""
    for sentence in (s for block in text.split(BLOCK_SEPARATOR) for s in _split_sentences(block)):
        if _STATEMENT.search(sentence):
            return _shorten(sentence)
    return None
