"""Words as a search knows them: the same for what is stored and for what is asked."""

import re
from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

from filmgate.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1
"""Raised whenever a text has other words."""

MAX_LETTERS = 64
_WORD = re.compile(r"\d+[^\W\d_]+\d*|\+?\d+(?:[.,/]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")

_EVERYWHERE = (
    "a about an and any are as at be been being but by can could d did do does doing for from get "
    "gets give gives had happen happens has have having how i if in into is it its itself let ll "
    "m many may me mean means might much must my no nor of on or our ours re s shall she should "
    "so some such t than that the their theirs them then there these they this those to too ve "
    "was we were what when where which while who whom whose why will with would you your yours "
)
STOP_WORDS = frozenset(_EVERYWHERE.split())
"""What stands in every question and on every page, and tells nothing of what is meant."""


def version() -> str:
    """Of what a text's words are: where it is another than what was stored, `filmgate db
    rebuild-projections` counts them again."""
    _stemmer()
    return f"{VERSION}, snowballstemmer {metadata.version('snowballstemmer')}"


def words(text: str) -> list[str]:
    """The stems of a text's words in order (English, Porter 2), without those that stand in every
    question. Numbers and dice stay as they are."""
    return [stem for word in plain_words(text) if (stem := _stem(word))]


def plain_words(text: str) -> list[str]:
    """A text's words in small letters, without accents."""
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
            "words cannot be stemmed",
            expected="the packages of the extra 'rulebook'",
            got="no snowballstemmer",
            hint="pip install 'filmgate[rulebook]'",
        ) from error
    stem: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    return stem


def spelling(name: str) -> str:
    """What two spellings of a name have in common: letters, digits and plus signs."""
    return "".join(_bare(name))


def _bare(text: str) -> list[str]:
    return [re.sub(r"[^\w+]|_", "", word.removesuffix("'s")) for word in plain_words(text)]


def names_in(text: str, longest: int = 6) -> dict[str, list[tuple[int, int]]]:
    """Every run of up to `longest` words in a text, as titles are compared (letters and digits),
    and where it stands: from which word, up to which."""
    bare = _bare(text)
    found: dict[str, list[tuple[int, int]]] = {}
    for count in range(min(longest, len(bare)), 0, -1):
        for first in range(len(bare) - count + 1):
            name = "".join(bare[first : first + count])
            found.setdefault(name, []).append((first, first + count))
    return found


def asks_for_several(text: str) -> bool:
    """Whether a question is for things of a kind: `which …`, `who …`, `list …`."""
    return bool({"which", "who", "whose", "list", "all", "every"} & set(plain_words(text)))
