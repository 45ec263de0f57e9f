"""The dictionary of a book: what has a section of its own, and what kind of thing it is."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from filmgate.core.rulebook import Place, Section, Term
from filmgate.pipelines.rulebook.rules.text import folded, key, slug

MIN_SIBLINGS = 3
"""So many sections under one title, and the title says what kind of things they are."""

MAX_TERM_WORDS = 6
MAX_NAMESAKES = 2
"""A title that more sections have names none of them: `Actions`, `Hit Points`."""

PLAIN_KIND = "section"

_FILLER = re.compile(
    r"\([^)]*\)|^the\b|\b(descriptions?|lists?|a\s*-\s*z|appendix\s+[\w-]+(?=\s*:))|[:]"
)
_PARTED = re.compile(r"^(?P<name>[^(,]+?)\s*(?:\((?P<more>[^)]+)\)|,\s*(?P<first>[^,]+))$")
_LETTER = re.compile(r"(?:[\w ]+\()?[a-z]\)?")


def singular(word: str) -> str:
    """An English noun in the singular, by its ending; right for the plurals of headings."""
    if word.endswith("ies") and len(word) > 4:  # noqa: PLR2004 - "ties" is one of "tie"
        return f"{word[:-3]}y"
    if re.search(r"(ss|sh|ch|x|z)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def kind_named(title: str) -> str:
    """The kind of things that a title announces: `Spell Descriptions` has spells."""
    words = _FILLER.sub(" ", folded(title)).split()
    if not words or len(words) > 3:  # noqa: PLR2004 - longer ones are sentences
        return PLAIN_KIND
    return " ".join([*words[:-1], singular(words[-1])])


def dictionary(all_sections: Sequence[Section]) -> tuple[Term, ...]:
    """Every section that stands on a page and has a name of its own, as a term."""
    by_id = {each.section_id: each for each in all_sections}
    siblings = Counter(_group(each, by_id) for each in all_sections)
    titles = Counter(key(each.name) for each in all_sections)
    terms: dict[str, Term] = {}
    taken: set[Place] = set()
    for each in all_sections:
        if each.place is None or each.place in taken or not _is_name(each.name):
            continue
        taken.add(each.place)
        group = _group(each, by_id)
        parent = by_id.get(group or "")
        is_one_of_many = parent is not None and siblings[group] >= MIN_SIBLINGS
        kind = kind_named(parent.name) if parent is not None and is_one_of_many else PLAIN_KIND
        if kind == PLAIN_KIND and titles[key(each.name)] > MAX_NAMESAKES:
            continue
        term_id = f"{slug(kind)}:{slug(each.name)}"
        terms.setdefault(
            term_id,
            Term(
                term_id=term_id,
                term=each.name,
                kind=kind,
                aliases=tuple(aliases(each)),
                section_id=each.section_id,
                page=each.place.page,
            ),
        )
    return tuple(terms.values())


def _group(section: Section, by_id: Mapping[str, Section]) -> str | None:
    """The section that a section is listed under; letters of an alphabet are looked through."""
    parent = by_id.get(section.parent_id or "")
    while parent is not None and _LETTER.fullmatch(folded(parent.name)) and parent.parent_id:
        parent = by_id.get(parent.parent_id)
    return parent.section_id if parent else None


def _is_name(title: str) -> bool:
    """Whether a title may name something."""
    name = key(title)
    is_long = len(name) > (2 if name.isascii() else 1)
    return is_long and len(title.split()) <= MAX_TERM_WORDS


def aliases(section: Section) -> list[str]:
    """Other spellings: that of the table of contents, and `Gnome, Deep` the other way round."""
    found = [section.title] if section.printed and key(section.title) != key(section.name) else []
    parted = _PARTED.match(section.name)
    if parted is not None and parted["first"]:
        found.append(f"{parted['first']} {parted['name']}")
    elif parted is not None:
        found.append(parted["name"])
    return found


def by_name(terms: Iterable[Term]) -> dict[str, list[Term]]:
    """Terms by what their names and aliases have in common with other spellings."""
    named: dict[str, list[Term]] = {}
    for term in terms:
        for name in dict.fromkeys(key(each) for each in (term.term, *term.aliases)):
            named.setdefault(name, []).append(term)
    return named
