"""Keywords: what sets a chunk apart from the rest of its book."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from filmgate.tools.words import STOP_WORDS

MAX_KEYWORDS = 8

_WORD = re.compile(r"[a-z][a-z'-]{2,}")


def words(normalized: str) -> list[str]:
    """Words that may tell a text from others."""
    return [word for word in _WORD.findall(normalized) if word not in STOP_WORDS]


def keywords(texts: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """For each text, its words with the greatest tf·idf among the texts (Spärck Jones 1972)."""
    counted = [Counter(words(text)) for text in texts]
    spread: Counter[str] = Counter()
    for counts in counted:
        spread.update(counts.keys())
    total = len(texts) + 1
    for counts in counted:
        weight = {
            word: (1 + math.log(n)) * math.log(total / spread[word]) for word, n in counts.items()
        }
        best = sorted(weight, key=lambda word: (-weight[word], word))
        yield tuple(best[:MAX_KEYWORDS])
