"""Search for many terms in a text at once, with an Aho–Corasick automaton (pyahocorasick)."""

from collections.abc import Iterable, Iterator


class AhoCorasick:
    """Implements the port `TermFinder`."""

    def __init__(self, terms: Iterable[str]) -> None:
        import ahocorasick

        self._automaton = ahocorasick.Automaton()
        for term in sorted(set(terms)):
            self._automaton.add_word(term, term)
        self._is_empty = len(self._automaton) == 0
        if not self._is_empty:
            self._automaton.make_automaton()

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield (start, end, term) of every match; matches may overlap."""
        if self._is_empty:
            return
        for last, term in self._automaton.iter(text):
            yield last - len(term) + 1, last + 1, term
