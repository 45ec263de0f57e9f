"""Mentions: terms of the dictionary in running text."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from filmgate.core.providers import TermFinder
from filmgate.core.rulebook import Entity, Term
from filmgate.pipelines.rulebook.rules.text import folded

_WORD = re.compile(r"\w")


class Spelling(NamedTuple):
    """A way in which a term is written."""

    term: Term
    is_common: bool
    """Whether it is one word that anybody may use: then only in capitals it means the term."""


def spellings(terms: Iterable[Term]) -> dict[str, list[Spelling]]:
    """All terms by their spellings, as normalised text has them."""
    found: dict[str, list[Spelling]] = {}
    for term in terms:
        for name in dict.fromkeys(folded(each) for each in (term.term, *term.aliases)):
            is_common = " " not in name and "-" not in name
            if len(name) > 2:  # noqa: PLR2004 - shorter ones are abbreviations of anything
                found.setdefault(name, []).append(Spelling(term, is_common))
    return found


def mentions(
    text: str, normalized: str, finder: TermFinder, known: dict[str, list[Spelling]]
) -> tuple[Entity, ...]:
    """The terms in a text, the longest where they overlap, in order.

    One that several things are called is left out, and so is a common word where it may be no
    name. `text` and `normalized` are of one length where no accent was taken off; else capitals
    cannot be looked at.
    """
    is_aligned = len(text) == len(normalized)
    kept: list[Entity] = []
    end = 0
    for start, stop, name in _longest_first(finder.find(normalized)):
        if start < end or not _is_whole(normalized, start, stop):
            continue
        namesakes = known[name]
        is_meant = len(namesakes) == 1 and (
            not namesakes[0].is_common or (is_aligned and _is_a_name(text, start))
        )
        meant = [namesakes[0].term] if is_meant else []
        kept += [
            Entity(term_id=term.term_id, kind=term.kind, start=start, end=stop) for term in meant
        ]
        end = stop if meant else end
    return tuple(kept)


def _is_a_name(text: str, start: int) -> bool:
    """Whether a word has a capital that no sentence and no line gives it."""
    before = text[:start].rstrip(" ")
    return text[start].isupper() and bool(before) and before[-1] not in '.!?:\n•“"('


def _longest_first(found: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    return sorted(found, key=lambda each: (each[0], -each[1]))


def _is_whole(text: str, start: int, stop: int) -> bool:
    """Whether no word goes on before or behind; a plural's s may."""
    if start and _WORD.match(text[start - 1]):
        return False
    behind = text[stop : stop + 2]
    is_plural = behind[:1] == "s" and not _WORD.match(behind[1:])
    return is_plural or not _WORD.match(behind)
