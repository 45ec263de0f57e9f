"""Finding many terms in a text at once: the automaton of Aho and Corasick, by pyahocorasick."""

from collections.abc import Iterable, Iterator


class AhoCorasick:
    """The port `TermFinder`."""

    def __init__(self, terms: Iterable[str]) -> None:
        import ahocorasick

        self._automaton = ahocorasick.Automaton()
        for term in sorted(set(terms)):
            self._automaton.add_word(term, term)
        self._is_empty = len(self._automaton) == 0
        if not self._is_empty:
            self._automaton.make_automaton()

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, term) of every one, also where they overlap."""
        if self._is_empty:
            return
        for last, term in self._automaton.iter(text):
            yield last - len(term) + 1, last + 1, term
