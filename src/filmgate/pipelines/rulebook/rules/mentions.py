"""Mentions: occurrences of dictionary terms in running text."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from filmgate.core.providers import TermFinder
from filmgate.pipelines.rulebook.contracts import Entity, Term
from filmgate.pipelines.rulebook.rules.text import fold_text

_WORD = re.compile(r"\w")


class Spelling(NamedTuple):
    """One spelling of a term."""

    term: Term
    is_common: bool
    """Whether the spelling is a single word, such as `light`. It means the term only if it is
    capitalised."""


def index_spellings(terms: Iterable[Term]) -> dict[str, list[Spelling]]:
    """Map each folded name and alias to the terms that it may mean."""
    index: dict[str, list[Spelling]] = {}
    for term in terms:
        for name in dict.fromkeys(fold_text(name) for name in (term.term, *term.aliases)):
            is_common = " " not in name and "-" not in name
            if len(name) > 2:  # noqa: PLR2004 - shorter names are ambiguous abbreviations
                index.setdefault(name, []).append(Spelling(term, is_common))
    return index


def find_mentions(
    text: str, normalized: str, finder: TermFinder, spellings: dict[str, list[Spelling]]
) -> tuple[Entity, ...]:
    """Find the terms in a text, ordered by position.

    Of overlapping matches the first one is used; if they start together, the longest. Names that
    several terms share are left out, and so are common words that are not capitalised. If `text`
    and `normalized` differ in length (an accent was removed), capitals cannot be checked, and
    common words are left out.
    """
    is_aligned = len(text) == len(normalized)
    entities: list[Entity] = []
    end = 0
    longest_first = sorted(finder.find(normalized), key=lambda match: (match[0], -match[1]))
    for start, stop, name in longest_first:
        if start < end or not _is_whole(normalized, start, stop):
            continue
        candidates = spellings[name]
        is_meant = len(candidates) == 1 and (
            not candidates[0].is_common or (is_aligned and _is_capitalised(text, start))
        )
        meant = [candidates[0].term] if is_meant else []
        entities += [
            Entity(term_id=term.term_id, kind=term.kind, start=start, end=stop) for term in meant
        ]
        end = stop if meant else end
    return tuple(entities)


def _is_capitalised(text: str, start: int) -> bool:
    """Whether a word has a capital that is not due to the start of a sentence or a line."""
    before = text[:start].rstrip(" ")
    return text[start].isupper() and bool(before) and before[-1] not in '.!?:\n•“"('


def _is_whole(text: str, start: int, stop: int) -> bool:
    """Whether a match is a whole word, apart from the `s` of a plural."""
    if start and _WORD.match(text[start - 1]):
        return False
    after = text[stop : stop + 2]
    is_plural = after[:1] == "s" and not _WORD.match(after[1:])
    return is_plural or not _WORD.match(after)
