"""What the corpus answers: by title, by words, by likeness, and one hop along the graph."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg import sql

from filmgate.core.answers import AskAnswer, BookAnswer, Citation, Related
from filmgate.core.corpus import CRUMB_WEIGHT, TITLE_WEIGHT
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.rulebook import ChunkKind, Span
from filmgate.db.queries import queries
from filmgate.db.sessions import Session, composed

K1 = 1.2
B = 0.6
"""Of BM25: how soon a word's repetition stops to count, and how much length counts."""

CANDIDATES = 200
NAMESAKES = 2
"""A title that more things have than this does not say which is meant."""

TITLE_BONUS = 1.15
"""Times the score of a passage about something that the question names by its title."""

RRF = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""

HOPS = ("lists", "refers to", "tabulates")
"""Types of edges that say what belongs to what."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question as it is looked up."""

    question: str
    words: tuple[str, ...]
    """Stems, each once."""
    names: Mapping[str, Sequence[tuple[int, int]]]
    """Every run of its words, as titles are compared, and where each stands."""
    is_for_several: bool
    """Whether it asks for things of a kind."""
    vector: Sequence[float] | None


Stemmer = Callable[[str], list[str]]
"""Gives the stems of a text's words."""


class AskedBooks:
    """Over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = Session(connection)

    def books(self, env: str | None, book: str | None = None) -> tuple[BookAnswer, ...]:
        """Every book of an environment, or of all."""
        rows = self._session.all(queries("books")["books"], {"env": env, "book": book})
        told = (
            "env",
            "title",
            "file",
            "format",
            "pages",
            "words_version",
            "chunks",
            "licence",
            "attribution",
            "job_id",
        )
        return tuple(
            BookAnswer(book=row["book_id"], **{name: row[name] for name in told}) for row in rows
        )

    def ask(
        self,
        asked: Asked,
        *,
        env: str,
        book: str | None,
        limit: int,
        stem: Stemmer,
        version: str,
    ) -> AskAnswer:
        """The passages that answer best, best first; of a row and its table, one.

        Raises NotFound where there is no book to ask, Invalid where the words of one were counted
        otherwise than those of the question.
        """
        books = self.scope(env, book)
        for each in books:
            _check_version(each, version)
        ids = [each.book for each in books]
        scope = {"env": env, "books": ids, "candidates": CANDIDATES}
        titled = self._titled(asked, scope)
        scores, alike = self._scores(asked, scope, titled)
        ranked = sorted(scores, key=lambda key: (-scores[key], key))
        found = self._chunks(ranked)
        how = {row["chunk_key"]: "title" for row in titled}
        answers = list(self._hop(asked, scope, titled, stem))
        seen: set[str] = set()
        for key in ranked:
            row = found[key]
            if (told := row["view_of"] or row["chunk_id"]) in seen:
                continue
            seen.add(told)
            by = (
                "row"
                if row["kind"] == ChunkKind.ROW.value
                else how.get(key, "likeness" if key in alike else "words")
            )
            answers.append(_citation(row, scores[key], by))
        return AskAnswer(question=asked.question, env=env, answers=tuple(answers[:limit]))

    def scope(self, env: str, book: str | None) -> tuple[BookAnswer, ...]:
        """The books that are meant: by id, else by the file's name or that without its end, else
        by title; NotFound where there is none."""
        found = self.books(env, book)
        for is_meant in (_by_id, _by_file, _by_title):
            if named := tuple(each for each in found if book is None or is_meant(each, book)):
                return named
        known = [f"{each.book} ({each.env})" for each in self.books(None)]
        raise NotFound(
            f"no book {book!r} in {env}" if book else f"there is no book in {env} to ask",
            expected=f"one of {', '.join(known)}" if known else "books that were taken in",
            got=book or "none",
            hint="`filmgate run rulebook --uploads DIR` takes books in; --env names another",
        )

    def _scores(
        self, asked: Asked, scope: Mapping[str, Any], titled: Iterable[Mapping[str, Any]]
    ) -> tuple[dict[int, float], set[int]]:
        """What passages are worth, and which of them were found by likeness alone."""
        weights = {"title": TITLE_WEIGHT, "crumb": CRUMB_WEIGHT, "k1": K1, "b": B}
        told = {**scope, **weights, "words": list(asked.words)}
        rows = self._session.all(_statement("by_words"), told)
        scores = {row["chunk_key"]: float(row["score"]) for row in rows}
        for key in {row["chunk_key"] for row in titled}:
            scores[key] = scores.get(key, 0.0) * TITLE_BONUS
        if asked.vector is None:
            return scores, set()
        alike = self._alike(asked.vector, scope)
        return _fused(scores, alike), alike.keys() - scores.keys()

    def _alike(self, vector: Sequence[float], scope: Mapping[str, Any]) -> dict[int, float]:
        """Passages whose vectors are most like the question's; NotFound where none has one."""
        if not self._session.need(_statement("has_vectors"), scope)["there"]:
            raise NotFound(
                "the books have no vectors",
                expected="books taken in with vectors",
                got="none",
                hint="`filmgate run rulebook --embeddings` makes them",
            )
        has = self._session.need(queries("ask")["has_pgvector"], {})["there"]
        statement = _statement("by_likeness", "pgvector" if has else "plain")
        rows = self._session.all(statement, {**scope, "vector": list(vector)})
        return {row["chunk_key"]: float(row["score"]) for row in rows}

    def _titled(self, asked: Asked, scope: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Chunks of what is named, without names that are parts of longer ones."""
        told = {**scope, "names": list(asked.names), "namesakes": NAMESAKES}
        rows = self._session.all(_statement("by_title"), told)
        places = {row["spelling"]: asked.names[row["spelling"]] for row in rows}
        return [row for row in rows if not _is_part(row["spelling"], places)]

    def _hop(
        self,
        asked: Asked,
        scope: Mapping[str, Any],
        titled: Sequence[Mapping[str, Any]],
        stem: Stemmer,
    ) -> Iterable[Citation]:
        """`Which classes get Fireball`: things of a kind that the question names, one edge away
        from a thing that it names."""
        if not titled or not asked.is_for_several:
            return
        kinds = [
            row["kind"]
            for row in self._session.all(_statement("kinds"), scope)
            if (stems := set(stem(row["kind"]))) and stems <= set(asked.words)
        ]
        own = {row["kind"] for row in titled}
        wanted = [kind for kind in kinds if kind not in own]
        if not wanted:
            return
        nodes = sorted({row["node_key"] for row in titled})
        told = {"nodes": nodes, "types": list(HOPS), "kinds": wanted}
        grouped: dict[tuple[int, str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in self._session.all(queries("ask")["neighbours"], told):
            grouped[row["node_key"], row["kind"], row["type"]].append(row)
        found = self._chunks([rows[0]["chunk_key"] for rows in grouped.values()])
        for (_, kind, _), rows in grouped.items():
            yield _related(found[rows[0]["chunk_key"]], kind, rows)

    def _chunks(self, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
        rows = self._session.all(queries("ask")["chunks"], {"keys": list(keys)})
        return {row["chunk_key"]: row for row in rows}


def _by_id(book: BookAnswer, name: str) -> bool:
    return book.book == name


def _by_file(book: BookAnswer, name: str) -> bool:
    return name in {book.file, book.file.rpartition(".")[0]}


def _by_title(book: BookAnswer, name: str) -> bool:
    return book.title.casefold() == name.casefold()


Places = Mapping[str, Sequence[tuple[int, int]]]


def _is_part(name: str, places: Places) -> bool:
    """Whether a name stands nowhere but inside longer ones."""
    longer = [at for other, found in places.items() if other != name for at in found]
    return all(
        any(a <= first and last <= b and b - a > last - first for a, b in longer)
        for first, last in places[name]
    )


def _check_version(book: BookAnswer, version: str) -> None:
    if book.words_version != version:
        raise Invalid(
            f"the words of {book.book} were counted by another version",
            expected=version,
            got=book.words_version,
            hint="`filmgate db rebuild-projections` counts them again",
        )


def _fused(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """Two rankings as one, by reciprocal ranks."""
    fused: dict[int, float] = defaultdict(float)
    for scores in (one, other):
        ranked = sorted(scores, key=lambda key: (-scores[key], key))
        for rank, key in enumerate(ranked, start=1):
            fused[key] += 1 / (RRF + rank)
    return dict(fused)


@cache
def _statement(name: str, likeness: str = "plain") -> str:
    """A whole statement, as text, so that the driver knows it again."""
    parts = queries("ask")
    scope = sql.SQL(parts["fragment_scope"])
    alike = sql.SQL(parts[f"fragment_likeness_{likeness}"])
    return composed(parts[name], scope=scope, likeness=alike).as_string()


def _citation(row: Mapping[str, Any], score: float, how: str) -> Citation:
    return Citation(
        book=row["book_id"],
        title=row["title"],
        format=row["format"],
        pdf_page=row["page"],
        printed_page=row["page_label"],
        section=tuple(row["breadcrumb"]),
        kind=row["kind"],
        text=row["text"],
        span=tuple(Span.model_validate(each) for each in row["spans"]),
        score=round(score, 4),
        how=how,
        chunk_id=row["chunk_id"],
        attribution=row["attribution"],
        licence=row["licence"],
    )


def _related(row: Mapping[str, Any], kind: str, near: Sequence[Mapping[str, Any]]) -> Citation:
    """What hangs together with something, as an answer."""
    names = list(dict.fromkeys(each["name"] for each in near))
    text = f"{near[0]['of']}, by {kind}: {', '.join(names)}"
    related = tuple(
        Related(
            name=each["name"],
            kind=each["kind"],
            relation=each["type"],
            rule=each["rule"],
            pdf_page=each["page"],
            printed_page=each["page_label"],
        )
        for each in near
    )
    cited = _citation(row, 1.0, "edge")
    return cited.model_copy(update={"text": text, "related": related})
