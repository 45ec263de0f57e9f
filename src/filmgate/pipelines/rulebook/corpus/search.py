"""Search in the corpus by titles, words and embeddings, and along edges of the graph."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from filmgate.core.books import PageSpan
from filmgate.core.database import Parameters, Plans, ReadSession, Row
from filmgate.core.errors import Invalid, NotFound
from filmgate.pipelines.rulebook.answers import AskAnswer, BookAnswer, Citation, Related
from filmgate.pipelines.rulebook.contracts import ChunkKind
from filmgate.pipelines.rulebook.corpus.statements import queries

K1 = 1.2
B = 0.6
"""Parameters of BM25: K1 limits the effect of repeated words, B sets the length normalisation."""

CANDIDATES = 200
"""Maximum number of passages that each ranking returns."""

MAX_NAMESAKES = 2
"""Maximum number of nodes in a book with the same title; more make the title ambiguous."""

TITLE_BONUS = 1.15
"""Factor for the score of a passage whose title occurs in the question."""

RRF = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""

HOP_TYPES = ("lists", "refers to", "tabulates")
"""Types of edges that connect a node with the nodes that it lists, mentions or tabulates."""


@dataclass(frozen=True, kw_only=True)
class CorpusQuestion:
    """A parsed question."""

    question: str
    words: tuple[str, ...]
    """Stems of the question's words, without duplicates."""
    names: Mapping[str, Sequence[tuple[int, int]]]
    """Word sequences of the question, normalised like titles, with their positions."""
    is_for_several: bool
    """Whether the question asks for a list, such as `Which classes get Fireball`."""
    vector: Sequence[float] | None
    """Embedding of the question; None for a search without embeddings."""


Stemmer = Callable[[str], list[str]]
"""Function that returns the stems of the words in a text."""


class CorpusSearch:
    """Searches the corpus over one connection."""

    def __init__(self, session: ReadSession) -> None:
        self._session = session.planned(Plans.CUSTOM)

    def books(self, env: str | None, book: str | None = None) -> tuple[BookAnswer, ...]:
        """List the books of an environment, or of all environments."""
        return tuple(map(_book, self._rows(env, book)))

    def ask(
        self,
        question: CorpusQuestion,
        *,
        env: str,
        book: str | None,
        limit: int,
        stem: Stemmer,
        version: str,
    ) -> AskAnswer:
        """Return up to `limit` passages that match the question, the best first. If a table and one
        of its rows match, only the better of the two is returned.

        Raises NotFound if no book matches, and Invalid if the word index of a book was made by
        another version of Filmgate.
        """
        books = self._scope(env, book)
        for row in books:
            _check_version(row, version)
        scope = _SearchScope.of(books)
        titled = self._titled(question, scope)
        scores, similar = self._scores(question, scope, titled)
        ranked = sorted(scores, key=lambda key: (-scores[key], key))
        found = self._chunks(ranked)
        how = {row["chunk_key"]: "title" for row in titled}
        answers = list(self._hop(question, scope, titled, stem))
        seen: set[str] = set()
        for key in ranked:
            chunk = found.get(key)  # None if another session replaced the book in the meantime
            if len(answers) >= limit or chunk is None:
                continue
            if (content_id := chunk["view_of"] or chunk["chunk_id"]) in seen:
                continue
            seen.add(content_id)
            by = (
                "row"
                if chunk["kind"] == ChunkKind.ROW.value
                else how.get(key, "likeness" if key in similar else "words")
            )
            answers.append(_citation(chunk, scores[key], by))
        return AskAnswer(question=question.question, env=env, answers=tuple(answers[:limit]))

    def require_vectors(self, env: str, book: str | None) -> None:
        """Raise NotFound if no book matches, or if no passage of the books has an embedding."""
        self._require_vectors(_SearchScope.of(self._scope(env, book)))

    def scope(self, env: str, book: str | None) -> tuple[BookAnswer, ...]:
        """Return the books that match `book`: by id, or else by file name with or without suffix,
        or else by title. Without `book`, return all books of the environment. Raises NotFound if no
        book matches."""
        return tuple(map(_book, self._scope(env, book)))

    def _rows(self, env: str | None, book: str | None) -> list[Row]:
        return self._session.all(queries("books")["books"], {"env": env, "book": book})

    def _scope(self, env: str, book: str | None) -> list[Row]:
        rows = self._rows(env, book)
        for matches in (_has_id, _has_file_name, _has_title):
            if matching := [row for row in rows if book is None or matches(row, book)]:
                return matching
        known = [f"{answer.book} ({answer.env})" for answer in self.books(None)]
        raise NotFound(
            f"book {book!r} does not exist in {env}" if book else f"the corpus {env} has no books",
            expected=f"one of {', '.join(known)}" if known else "ingested books",
            got=book or "none",
            hint="Ingest books with `filmgate run rulebook --uploads DIR`, or choose another --env",
        )

    def _scores(
        self, question: CorpusQuestion, scope: "_SearchScope", titled: Iterable[Row]
    ) -> tuple[dict[int, float], set[int]]:
        """Return the scores of passages by chunk key, and the keys that only embeddings found."""
        parameters = {
            **scope.parameters,
            "words": list(question.words),
            "chunks": scope.chunks,
            "mean": scope.mean_length,
            "k1": K1,
            "b": B,
        }
        rows = self._session.all(queries("ask")["by_words"], parameters)
        scores = {row["chunk_key"]: float(row["score"]) for row in rows}
        for key in {row["chunk_key"] for row in titled}:
            scores[key] = scores.get(key, 0.0) * TITLE_BONUS
        if question.vector is None:
            return scores, set()
        similar = self._similar(question.vector, scope)
        return _fuse(scores, similar), similar.keys() - scores.keys()

    def _similar(self, vector: Sequence[float], scope: "_SearchScope") -> dict[int, float]:
        """Return the similarities of the passages whose embeddings are nearest to that of the
        question, by chunk key. Raises NotFound if no passage has an embedding."""
        self._require_vectors(scope)
        has_pgvector = self._session.one_required(queries("ask")["has_pgvector"], {})["found"]
        statement = _by_similarity("pgvector" if has_pgvector else "plain")
        rows = self._session.all(statement, {**scope.parameters, "vector": list(vector)})
        return {row["chunk_key"]: float(row["score"]) for row in rows}

    def _require_vectors(self, scope: "_SearchScope") -> None:
        if not self._session.one_required(queries("ask")["has_vectors"], scope.parameters)["found"]:
            raise NotFound(
                "the books have no embeddings",
                expected="books that were ingested with embeddings",
                got="none",
                hint="Create them with `filmgate run rulebook --embeddings`",
            )

    def _titled(self, question: CorpusQuestion, scope: "_SearchScope") -> list[Row]:
        """Return the chunks of nodes whose titles occur in the question. A title that occurs only
        inside a longer title is ignored."""
        parameters = {
            **scope.parameters,
            "names": list(question.names),
            "namesakes": MAX_NAMESAKES,
        }
        rows = self._session.all(queries("ask")["by_title"], parameters)
        positions = {row["spelling"]: question.names[row["spelling"]] for row in rows}
        return [row for row in rows if not _is_inside_longer(row["spelling"], positions)]

    def _hop(
        self,
        question: CorpusQuestion,
        scope: "_SearchScope",
        titled: Sequence[Row],
        stem: Stemmer,
    ) -> Iterable[Citation]:
        """Answer a question such as `Which classes get Fireball`. The answer lists nodes of a kind
        in the question (classes) that an edge connects with a node in the question (Fireball)."""
        if not titled or not question.is_for_several:
            return
        kinds = [
            row["kind"]
            for row in self._session.all(queries("ask")["kinds"], scope.parameters)
            if (stems := set(stem(row["kind"]))) and stems <= set(question.words)
        ]
        titled_kinds = {row["kind"] for row in titled}
        requested_kinds = [kind for kind in kinds if kind not in titled_kinds]
        if not requested_kinds:
            return
        nodes = sorted({row["node_key"] for row in titled})
        parameters = {"nodes": nodes, "types": list(HOP_TYPES), "kinds": requested_kinds}
        grouped: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
        for row in self._session.all(queries("ask")["neighbours"], parameters):
            grouped[row["node_key"], row["kind"], row["type"]].append(row)
        found = self._chunks([rows[0]["chunk_key"] for rows in grouped.values()])
        for (_, kind, _), rows in grouped.items():
            if (chunk := found.get(rows[0]["chunk_key"])) is not None:
                yield _related(chunk, kind, rows)

    def _chunks(self, keys: Sequence[int]) -> dict[int, Row]:
        rows = self._session.all(queries("ask")["chunks"], {"keys": list(keys)})
        return {row["chunk_key"]: row for row in rows}


@dataclass(frozen=True, kw_only=True)
class _SearchScope:
    """The searched books, and the numbers that BM25 needs about them."""

    parameters: Parameters
    """Parameters of all statements: keys of the books, and `CANDIDATES`."""
    chunks: float
    """Number of chunks in all books."""
    mean_length: float
    """Mean length of a chunk, in weighted words; at least 1."""

    @classmethod
    def of(cls, books: Sequence[Row]) -> "_SearchScope":
        chunks = sum(book["chunks"] for book in books)
        length = sum(book["length"] for book in books)
        return cls(
            parameters={
                "books": [book["book_key"] for book in books],
                "candidates": CANDIDATES,
            },
            chunks=float(chunks),
            mean_length=max(length / max(chunks, 1), 1.0),
        )


def _book(row: Row) -> BookAnswer:
    fields = (
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
    return BookAnswer(book=row["book_id"], **{name: row[name] for name in fields})


def _has_id(book: Row, name: str) -> bool:
    return bool(book["book_id"] == name)


def _has_file_name(book: Row, name: str) -> bool:
    return name in {book["file"], book["file"].rpartition(".")[0]}


def _has_title(book: Row, name: str) -> bool:
    return bool(book["title"].casefold() == name.casefold())


Positions = Mapping[str, Sequence[tuple[int, int]]]
"""Index of the first and the last word of each occurrence of a name in a question."""


def _is_inside_longer(name: str, positions: Positions) -> bool:
    """Whether all occurrences of a name are inside longer names."""
    others = [at for other, found in positions.items() if other != name for at in found]
    return all(
        any(a <= first and last <= b and b - a > last - first for a, b in others)
        for first, last in positions[name]
    )


def _check_version(book: Row, version: str) -> None:
    if book["words_version"] != version:
        raise Invalid(
            f"the word index of {book['book_id']} was made by another version of Filmgate",
            expected=version,
            got=book["words_version"],
            hint="Rebuild the index with `filmgate db rebuild-projections`",
        )


def _fuse(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """Combine two rankings by reciprocal rank fusion."""
    fused: dict[int, float] = defaultdict(float)
    for scores in (one, other):
        ranked = sorted(scores, key=lambda key: (-scores[key], key))
        for rank, key in enumerate(ranked, start=1):
            fused[key] += 1 / (RRF + rank)
    return dict(fused)


@cache
def _by_similarity(implementation: str) -> str:
    """Compose the statement. Its text is always the same, so that the driver can reuse the prepared
    statement."""
    parts = queries("ask")
    similarity = parts[f"fragment_similarity_{implementation}"]
    return parts["by_similarity"].replace("{similarity}", similarity)


def _citation(row: Row, score: float, how: str) -> Citation:
    return Citation(
        book=row["book_id"],
        title=row["title"],
        format=row["format"],
        pdf_page=row["page"],
        printed_page=row["page_label"],
        section=tuple(row["breadcrumb"]),
        kind=row["kind"],
        text=row["text"],
        span=tuple(PageSpan.model_validate(span) for span in row["spans"]),
        score=round(score, 4),
        how=how,
        chunk_id=row["chunk_id"],
        attribution=row["attribution"],
        licence=row["licence"],
    )


def _related(row: Row, kind: str, near: Sequence[Row]) -> Citation:
    """Build one citation for all nodes of a kind that an edge connects with a named node."""
    names = list(dict.fromkeys(node["name"] for node in near))
    text = f"{near[0]['of']}, by {kind}: {', '.join(names)}"
    related = tuple(
        Related(
            name=node["name"],
            kind=node["kind"],
            relation=node["type"],
            rule=node["rule"],
            pdf_page=node["page"],
            printed_page=node["page_label"],
        )
        for node in near
    )
    cited = _citation(row, 1.0, "edge")
    return cited.model_copy(update={"text": text, "related": related})
