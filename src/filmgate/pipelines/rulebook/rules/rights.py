"""Rights: under which licence a book says it is, and whom it wants named."""

import re
from collections.abc import Iterable, Sequence

from filmgate.core.books import Line, Page, Role
from filmgate.pipelines.rulebook.rules.text import joined

MAX_PAGES = 6
"""In front, and at the end, where books state their rights."""

MAX_WORDS = 90

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
    r"attribution (?:statement|notice|text)[^:]{0,80}:\s*(?P<words>.{20,900})", re.I
)
_GOES_ON = re.compile(r"(please|you|section|if|note)\b", re.I)
_STATEMENT = re.compile(r"licen[sc]e|©|\(c\)|copyright|creative commons", re.I)


def rights(pages: Sequence[Page]) -> tuple[str | None, str | None]:
    """(licence, attribution) as the book words them; None where it does not say."""
    parts = [*pages[:MAX_PAGES], *pages[MAX_PAGES:][-2:]]
    whole = " ".join(joined([line.text for line in _lines(page)]) for page in parts)
    licence = next((f"{name}-{v}".rstrip("-") for name, v in _licences(whole)), None)
    asked = _ASKED_FOR.search(whole)
    if asked is not None:
        return licence, _wanted(asked["words"])
    return licence, _statement(whole)


def _lines(page: Page) -> list[Line]:
    return [line for line in page.lines if line.role is not Role.FURNITURE]


def _licences(text: str) -> Iterable[tuple[str, str]]:
    for pattern, name in _LICENCES:
        if (found := pattern.search(text)) is not None:
            yield name, found[1] or found[2] or ""


def _wanted(text: str) -> str:
    """The sentences that a book wants to see, up to where it speaks to the reader again."""
    kept: list[str] = []
    for sentence in _sentences(text):
        if kept and _GOES_ON.match(sentence):
            break
        kept.append(sentence)
    return " ".join(" ".join(kept).strip(' “”"').split()[:MAX_WORDS])


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[\w)/”\"][.!?])\s+(?=[A-Z©“\"])", text)


def _statement(text: str) -> str | None:
    """The first sentence that speaks of rights."""
    for sentence in _sentences(text):
        if _STATEMENT.search(sentence):
            return " ".join(sentence.split()[:MAX_WORDS])
    return None
