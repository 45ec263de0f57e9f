"""The dictionary of a book: the terms that have their own section, and the kind of each."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from filmgate.pipelines.rulebook.contracts import HeadingPlace, Section, Term
from filmgate.pipelines.rulebook.rules.text import fold_text, make_slug, match_key

MIN_SIBLINGS = 3
"""Number of sections under one title from which the title names their kind."""

MAX_TERM_WORDS = 6
MAX_NAMESAKES = 2
"""Maximum number of sections with the same title if it is a term. More sections mean that the title
is a label, such as `Actions` or `Hit Points`."""

PLAIN_KIND = "section"

_FILLER = re.compile(
    r"\([^)]*\)|^the\b|\b(descriptions?|lists?|a\s*-\s*z|appendix\s+[\w-]+(?=\s*:))|[:]"
)
_NAME_AND_ADDITION = re.compile(
    r"^(?P<name>[^(,]+?)\s*(?:\((?P<more>[^)]+)\)|,\s*(?P<first>[^,]+))$"
)
_LETTER = re.compile(r"(?:[\w ]+\()?[a-z]\)?")


def to_singular(word: str) -> str:
    """Return the singular of an English noun, by its ending; correct for plurals in headings."""
    if word.endswith("ies") and len(word) > 4:  # noqa: PLR2004 - "ties" is the plural of "tie"
        return f"{word[:-3]}y"
    if re.search(r"(ss|sh|ch|x|z)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def kind_from_title(title: str) -> str:
    """Return the kind of the sections below a title: `spell` for `Spell Descriptions`."""
    words = _FILLER.sub(" ", fold_text(title)).split()
    if not words or len(words) > 3:  # noqa: PLR2004 - longer ones are sentences
        return PLAIN_KIND
    return " ".join([*words[:-1], to_singular(words[-1])])


def build_dictionary(all_sections: Sequence[Section]) -> tuple[Term, ...]:
    """Return a term for each section that was found on its page and whose title names something."""
    by_id = {section.section_id: section for section in all_sections}
    siblings = Counter(_group_id(section, by_id) for section in all_sections)
    titles = Counter(match_key(section.name) for section in all_sections)
    terms: dict[str, Term] = {}
    taken: set[HeadingPlace] = set()
    for section in all_sections:
        if section.place is None or section.place in taken or not _is_name(section.name):
            continue
        taken.add(section.place)
        group = _group_id(section, by_id)
        parent = by_id.get(group or "")
        is_one_of_many = parent is not None and siblings[group] >= MIN_SIBLINGS
        kind = kind_from_title(parent.name) if parent is not None and is_one_of_many else PLAIN_KIND
        if kind == PLAIN_KIND and titles[match_key(section.name)] > MAX_NAMESAKES:
            continue
        term_id = f"{make_slug(kind)}:{make_slug(section.name)}"
        terms.setdefault(
            term_id,
            Term(
                term_id=term_id,
                term=section.name,
                kind=kind,
                aliases=tuple(find_aliases(section)),
                section_id=section.section_id,
                page=section.place.page,
            ),
        )
    return tuple(terms.values())


def _group_id(section: Section, by_id: Mapping[str, Section]) -> str | None:
    """Return the id of the section that contains a section.

    Sections whose title is only a letter of the alphabet are skipped.
    """
    parent = by_id.get(section.parent_id or "")
    while parent is not None and _LETTER.fullmatch(fold_text(parent.name)) and parent.parent_id:
        parent = by_id.get(parent.parent_id)
    return parent.section_id if parent else None


def _is_name(title: str) -> bool:
    """Whether a title may name something."""
    name = match_key(title)
    is_long = len(name) > (2 if name.isascii() else 1)
    return is_long and len(title.split()) <= MAX_TERM_WORDS


def find_aliases(section: Section) -> list[str]:
    """Return other names of a section.

    These are its title in the table of contents, `Deep Gnome` for `Gnome, Deep`, and the name
    without an addition in parentheses.
    """
    is_renamed = section.printed and match_key(section.title) != match_key(section.name)
    names = [section.title] if is_renamed else []
    parts = _NAME_AND_ADDITION.match(section.name)
    if parts is not None and parts["first"]:
        names.append(f"{parts['first']} {parts['name']}")
    elif parts is not None:
        names.append(parts["name"])
    return names


def index_by_name(terms: Iterable[Term]) -> dict[str, list[Term]]:
    """Map the match key of each name and alias to the terms that have it."""
    index: dict[str, list[Term]] = {}
    for term in terms:
        for name in dict.fromkeys(match_key(name) for name in (term.term, *term.aliases)):
            index.setdefault(name, []).append(term)
    return index
