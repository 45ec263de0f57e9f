"""Keywords: words that distinguish a chunk from the rest of its book."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from filmgate.tools.words import STOP_WORDS

MAX_KEYWORDS = 8

_WORD = re.compile(r"[a-z][a-z'-]{2,}")


def extract_words(normalized: str) -> list[str]:
    """Return the words of a text without stop words and short words."""
    return [word for word in _WORD.findall(normalized) if word not in STOP_WORDS]


def extract_keywords(texts: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """Yield, for each text, its words of highest tf·idf among the texts (Spärck Jones 1972)."""
    word_counts = [Counter(extract_words(text)) for text in texts]
    document_counts: Counter[str] = Counter()
    for counts in word_counts:
        document_counts.update(counts.keys())
    total = len(texts) + 1
    for counts in word_counts:
        weights = {
            word: (1 + math.log(n)) * math.log(total / document_counts[word])
            for word, n in counts.items()
        }
        best = sorted(weights, key=lambda word: (-weights[word], word))
        yield tuple(best[:MAX_KEYWORDS])
