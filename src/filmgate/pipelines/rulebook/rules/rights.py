"""Rights: under which licence a book says it is, and whom it wants named."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby

from filmgate.core.books import Line, Page, Role
from filmgate.pipelines.rulebook.rules.styles import LARGER, body_size
from filmgate.pipelines.rulebook.rules.text import joined

MAX_PAGES = 6
"""In front, and at the end, where books state their rights."""

MAX_WORDS = 90
HEADING_HERE = "\x1e"
"""Where a heading stood: no sentence goes on behind it."""

_LICENCES = (
    (re.compile(r"CC[- ]BY[- ]SA[- ]?(\d\.\d)|Attribution-ShareAlike (\d\.\d)", re.I), "CC-BY-SA"),
    (
        re.compile(r"CC[- ]BY[- ]NC[- ]?(\d\.\d)|Attribution-NonCommercial (\d\.\d)", re.I),
        "CC-BY-NC",
    ),
    (
        re.compile(r"CC[- ]BY[- ]?(\d\.\d)|Creative Commons Attribution (\d\.\d)", re.I),
        "CC-BY",
    ),
    (re.compile(r"Open Game License[^.]{0,20}?(\d\.\d)()", re.I), "OGL"),
    (re.compile(r"\bMIT License()()", re.I), "MIT"),
)
_ASKED_FOR = re.compile(
    r"attribution (?:statement|notice|text)[^:]{0,80}:\s*(?P<words>[^\x1e]{20,900})", re.I
)
_QUOTED = re.compile(r"“(?P<words>[^“”]*(?:“[^“”]*”[^“”]*)*)”|\"(?P<plain>[^\"]*)\"")
_GOES_ON = re.compile(r"(please|you|section|if|note)\b", re.I)
_STATEMENT = re.compile(r"licen[sc]e|©|\(c\)|copyright|creative commons", re.I)


def rights(pages: Sequence[Page]) -> tuple[str | None, str | None]:
    """(licence, attribution) as the book words them; None where it does not say."""
    parts = [*pages[:MAX_PAGES], *pages[MAX_PAGES:][-2:]]
    body = body_size(parts)
    whole = HEADING_HERE.join(block for page in parts for block in _blocks(page, body))
    licence = next((f"{name}-{v}".rstrip("-") for name, v in _licences(whole)), None)
    asked = _ASKED_FOR.search(whole)
    if asked is not None:
        return licence, _wanted(asked["words"])
    return licence, _statement(whole)


def _blocks(page: Page, body: float | None) -> Iterator[str]:
    """The text of a page, parted where a heading stands."""
    lines = [line for line in page.lines if line.role is not Role.FURNITURE]
    for is_heading, block in groupby(lines, key=partial(_is_heading, body=body)):
        if not is_heading:
            yield joined([line.text for line in block])


def _is_heading(line: Line, body: float | None) -> bool:
    is_large = body is not None and line.size is not None and line.size >= body * LARGER
    return line.role is Role.HEADING or is_large


def _licences(text: str) -> Iterable[tuple[str, str]]:
    for pattern, name in _LICENCES:
        if (found := pattern.search(text)) is not None:
            yield name, found[1] or found[2] or ""


def _wanted(text: str) -> str:
    """The sentences that a book wants to see: what it quotes, or all up to where it speaks to the
    reader again."""
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return _short(quoted["words"] or quoted["plain"] or "")
    kept: list[str] = []
    for sentence in _sentences(text):
        if kept and _GOES_ON.match(sentence):
            break
        kept.append(sentence)
    return _short(" ".join(kept))


def _short(text: str) -> str:
    return " ".join(text.split()[:MAX_WORDS])


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[\w)/”\"][.!?])\s+(?=[A-Z©“\"])", text)


def _statement(text: str) -> str | None:
    """The first sentence that speaks of rights."""
    for sentence in (s for block in text.split(HEADING_HERE) for s in _sentences(block)):
        if _STATEMENT.search(sentence):
            return _short(sentence)
    return None
