"""Split text into the words that search compares, by the same rules for stored text and queries."""

import re
from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

from filmgate.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1
"""Version of the word rules; increased whenever the same text gives other words."""

MAX_LETTERS = 64
_WORD = re.compile(r"\d+[^\W\d_]+\d*|\+?\d+(?:[.,/]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")

_FUNCTION_WORDS = (
    "a about an and any are as at be been being but by can could d did do does doing for from get "
    "gets give gives had happen happens has have having how i if in into is it its itself let ll "
    "m many may me mean means might much must my no nor of on or our ours re s shall she should "
    "so some such t than that the their theirs them then there these they this those to too ve "
    "was we were what when where which while who whom whose why will with would you your yours "
)
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that occur in any question and on any page, and are ignored by search."""


def version() -> str:
    """Return the version of the word rules and of the stemmer.

    If it differs from the stored one, `filmgate db rebuild-projections` counts the words again.
    """
    _stemmer()
    return f"{VERSION}, snowballstemmer {metadata.version('snowballstemmer')}"


def words(text: str) -> list[str]:
    """Return the stems of a text's words (English, Porter 2) in text order, without stop words.

    Numbers and dice, such as `2d6`, are not stemmed.
    """
    return [stem for word in plain_words(text) if (stem := _stem(word))]


def plain_words(text: str) -> list[str]:
    """Return a text's words in lower case, without accents, cut to `MAX_LETTERS` characters."""
    folded = normalize("NFKD", text.lower().replace("’", "'").replace("−", "-"))
    if not folded.isascii():
        folded = "".join(c for c in folded if not combining(c))
    return [word[:MAX_LETTERS] for word in _WORD.findall(folded)]


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str | None:
    bare = word.split("'", maxsplit=1)[0]
    if bare in STOP_WORDS or not bare:
        return None
    return bare if bare[0] in "+0123456789" else _stemmer()(bare)


@cache
def _stemmer() -> "Callable[[str], str]":
    try:
        import snowballstemmer
    except ImportError as error:
        raise Unavailable(
            "snowballstemmer is not installed",
            expected="the packages of the extra 'rulebook'",
            got="no snowballstemmer",
            hint="pip install 'filmgate[rulebook]'",
        ) from error
    stem: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    return stem


def normalise_name(name: str) -> str:
    """Reduce a name to the characters that its spellings share: letters, digits and plus signs."""
    return "".join(_normalised_words(name))


def _normalised_words(text: str) -> list[str]:
    return [re.sub(r"[^\w+]|_", "", word.removesuffix("'s")) for word in plain_words(text)]


def name_candidates(text: str, longest: int = 6) -> dict[str, list[tuple[int, int]]]:
    """Find every sequence of up to `longest` words, and the positions of each.

    The result maps names in the form of `normalise_name` to (index of the first word, index after
    the last word).
    """
    words_of_text = _normalised_words(text)
    found: dict[str, list[tuple[int, int]]] = {}
    for count in range(min(longest, len(words_of_text)), 0, -1):
        for first in range(len(words_of_text) - count + 1):
            name = "".join(words_of_text[first : first + count])
            found.setdefault(name, []).append((first, first + count))
    return found


def is_list_question(text: str) -> bool:
    """Whether a question asks for all things of a kind: `which …`, `who …`, `list …`."""
    return bool({"which", "who", "whose", "list", "all", "every"} & set(plain_words(text)))
