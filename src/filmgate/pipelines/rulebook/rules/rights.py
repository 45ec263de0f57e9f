"""Rights: under which licence a book says it is, and whom it wants named."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

from filmgate.core.books import LEFT_OUT, Line, Page, Role
from filmgate.pipelines.rulebook.rules.styles import LARGER, body_size
from filmgate.pipelines.rulebook.rules.text import joined

MAX_PAGES = 6
"""In front, and at the end, where books state their rights."""

MAX_WORDS = 90
HEADING_HERE = "\x1e"
"""Where a heading stood: no sentence goes on behind it."""

_CC = re.compile(
    r"(?:CC[- ]|Creative Commons[- ])(?:BY|Attribution)"
    r"(?P<more>(?:[- ](?:NC|Non-?Commercial|SA|Share-?Alike|ND|No-?Deriv(?:ative)?s?(?: Works)?))*)"
    r"[- ]*(?:Licen[sc]e[- ]*)?(?P<version>\d\.\d)?",
    re.IGNORECASE,
)
_OTHERS = (
    (re.compile(r"Open Game License[^.]{0,20}?(?P<version>\d\.\d)", re.I), "OGL"),
    (re.compile(r"\bMIT License(?P<version>)\b", re.I), "MIT"),
)
_TERMS = (("NC", "nc|noncommercial"), ("SA", "sa|sharealike"), ("ND", "nd|noderiv"))
_NOT = re.compile(r"\b(not|never|no longer|except)\b[^.]{0,60}$", re.I)
_ASKED_FOR = re.compile(
    r"attribution (?:statement|notice|text)[^:]{0,80}:\s*(?P<words>[^\x1e]{20,900})", re.I
)
_QUOTED = re.compile(r"“(?P<words>[^“”]*(?:“[^“”]*”[^“”]*)*)”|\"(?P<plain>[^\"]*)\"")
_GOES_ON = re.compile(r"(please|you|section|if|note)\b", re.I)
_STATEMENT = re.compile(r"licen[sc]e|©|\(c\)|copyright|creative commons", re.I)


def rights(pages: Sequence[Page]) -> tuple[str | None, str | None]:
    """(licence, attribution) as the book words them; None where it does not say, or names several
    licences."""
    parts = [*pages[:MAX_PAGES], *pages[MAX_PAGES:][-2:]]
    body = body_size(parts)
    whole = HEADING_HERE.join(block for page in parts for block in _blocks(page, body))
    named = _licences(whole)
    licence = next(iter(named)) if len(named) == 1 else None
    asked = _ASKED_FOR.search(whole)
    if asked is not None:
        return licence, _wanted(asked["words"])
    return licence, _statement(whole)


def _blocks(page: Page, body: float | None) -> Iterator[str]:
    """The text of a page, parted where a heading stands."""
    lines = [line for line in page.lines if line.role not in LEFT_OUT]
    for is_heading, block in groupby(lines, key=partial(_is_heading, body=body)):
        if not is_heading:
            yield joined([line.text for line in block])


def _is_heading(line: Line, body: float | None) -> bool:
    is_large = body is not None and line.size is not None and line.size >= body * LARGER
    return line.role is Role.HEADING or is_large


def _licences(text: str) -> set[str]:
    """Every licence that a text names, but for those of which it says that they are not its own."""
    found = {_creative_commons(each) for each in _CC.finditer(text) if _is_meant(text, each)}
    for pattern, name in _OTHERS:
        found |= {
            f"{name}-{each['version']}".rstrip("-")
            for each in pattern.finditer(text)
            if _is_meant(text, each)
        }
    versioned = {name for name in found if name[-1:].isdigit()}
    return versioned | {n for n in found if not any(v.startswith(f"{n}-") for v in versioned)}


def _is_meant(text: str, found: re.Match[str]) -> bool:
    return _NOT.search(text[max(0, found.start() - 80) : found.start()]) is None


def _creative_commons(found: re.Match[str]) -> str:
    plain = re.sub(r"[- ]+", " ", found["more"] or "").lower().replace("non commercial", "nc")
    plain = plain.replace("share alike", "sharealike").replace("no deriv", "noderiv")
    terms = [name for name, words in _TERMS if re.search(rf"\b(?:{words})", plain)]
    return "-".join(["CC", "BY", *terms, *filter(None, [found["version"]])])


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
