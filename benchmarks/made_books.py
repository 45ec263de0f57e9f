"""Synthetic rule books for benchmarks: the files that a finished rulebook job hands to ingest.

The frequencies of words follow the System Reference Document 5.1 as the rulebook pipeline cuts it:
the commonest word is in 40% of the chunks, the 100th in 8%, the 1,000th in 0.5%, and a chunk has
some 40 different ones. A third of the chunks are rows of tables; for ten chunks there are five
nodes and sixteen edges.
"""

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

from filmgate.core.books import BookFormat
from filmgate.core.digest import canonical_json, digest, digest_of, sha256_hex
from filmgate.core.gates import FileFacts
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.plan import Producer
from filmgate.core.records import ArtifactRef, Asset
from filmgate.core.states import RunState, StageState
from filmgate.pipelines.rulebook.contracts import (
    CHUNKS,
    CLEANUP,
    ENRICHED,
    GRAPH,
    TOC,
    ChunkKind,
    Method,
)

ENV = "bench"
ME = Producer(name="bench", version="1")
MOMENT = datetime.fromisoformat("2026-01-02T03:04:05+00:00")

LEAST_CHUNKS, MOST_CHUNKS = 400, 1500
"""Of a book."""

COMMON = (
    *("spell", "level", "creature", "class", "damage", "action", "magic", "attack", "item", "hit"),
    *("save", "point", "feet", "range", "weapon", "armor", "round", "turn", "target", "effect"),
    *("bonus", "roll", "check", "strength", "dexterity", "wisdom", "charisma", "hour", "minute"),
    *("monster", "speed", "cast", "caster", "slot", "proficiency", "advantage", "shield", "bow"),
    *("sword", "staff", "ring", "potion", "scroll", "treasure", "trap", "poison", "fire", "cold"),
    *("acid", "thunder", "light", "darkness", "rest", "move", "jump", "climb", "swim", "fly"),
)
"""The words that stand on most pages of rules, the commonest first."""

CLASSES = ("Bard", "Cleric", "Druid", "Paladin", "Ranger", "Sorcerer", "Warlock", "Wizard")
FIREBALL = "Fireball"
"""A spell of every third book."""

_HEADS = "Ash Bone Cinder Dusk Ember Frost Gale Hollow Iron Jade Moon Night Raven Storm Thorn Vale"
_TAILS = "bane bolt brand fall flare gate grasp hand lance mark shroud song step ward web whisper"
_ENDS = ("", "ling", "th", "ra", "mok", "dun", "vek", "zor")


@cache
def vocabulary() -> tuple[list[str], list[float]]:
    """8,000 words, and their cumulative weights: `1 / (rank + 40) ** 1.4`, the frequencies of the
    SRD's words (Zipf's law as Mandelbrot corrected it; fitted to ranks 1 to 2,000)."""
    syllables = [f"{a}{b}" for a in "bdfgklmnprstvz" for b in "aeiou"]
    made = [f"{a}{b}{end}" for a in syllables for b in syllables for end in _ENDS]
    random.Random(0).shuffle(made)
    known = [*COMMON, *made][:8000]
    return known, list(accumulate(1 / (rank + 40) ** 1.4 for rank in range(1, len(known) + 1)))


def spell_names() -> list[str]:
    """Names that several books share, as editions of one game do."""
    return [f"{head}{tail}" for head in _HEADS.split() for tail in _TAILS.split()]


class Piece(NamedTuple):
    """A chunk before it is written down."""

    kind: ChunkKind
    breadcrumb: tuple[str, ...]
    text: str
    view_of: int | None = None


class Named(NamedTuple):
    """A node before it is written down, with the number of the chunk that describes it."""

    kind: str
    name: str
    chunk: int


class _Writer:
    """The text of one book."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pieces: list[Piece] = []
        self.named: list[Named] = []
        self.lists: list[tuple[int, int, int]] = []
        """Edges: which node lists which, in which chunk."""

    def write(self, number: int, chunks: int) -> None:
        self._spells(number, chunks // 10)
        while len(self.pieces) < chunks:
            self._chapter(self._words(2).title(), chunks)

    def _spells(self, number: int, count: int) -> None:
        """Spells, and a list of them for every class."""
        chosen = self.random.sample(spell_names(), count)
        if number % 3 == 0:
            chosen[0] = FIREBALL
        above = ("Spellcasting", "Spell Descriptions")
        spells = [self._section("spell", above, name, self._sentences(50)) for name in chosen]
        for name in CLASSES:
            own = self._section("class", ("Classes",), name, self._sentences(75))
            listed = [each for each in spells if self.random.random() < 0.25]
            if spells[0] not in listed and chosen[0] == FIREBALL and name in CLASSES[-3:]:
                listed.insert(0, spells[0])
            text = "\n".join(self.named[each].name for each in listed)
            where = ("Spellcasting", "Spell Lists", f"{name} Spells")
            self.pieces.append(Piece(ChunkKind.LIST, where, f"{name} Spells\n{text}"))
            self.lists += [(own, each, len(self.pieces) - 1) for each in listed]

    def _chapter(self, title: str, most: int) -> None:
        for _ in range(8):
            name = self._words(2).title()
            self._section("section", (title,), name, self._sentences(45))
            if self.random.random() < 0.5:
                self._section("monster", (title, name), self._words(2).title(), self._sentences(75))
            else:
                self.pieces.append(Piece(ChunkKind.PROSE, (title, name), self._sentences(52)))
            if self.random.random() < 0.3:
                self._table((title, name))
            if len(self.pieces) >= most:
                return

    def _table(self, above: tuple[str, ...]) -> None:
        heads = self._words(2).title()
        rows = [f"{self._words(2).title()} {self._number()} gp {self._words(4)}" for _ in range(5)]
        table = len(self.pieces)
        self.pieces.append(Piece(ChunkKind.TABLE, above, "\n".join([heads, *rows])))
        for row in rows:
            self.pieces.append(Piece(ChunkKind.ROW, above, f"{heads}\n{row}", table))

    def _section(self, kind: str, above: tuple[str, ...], name: str, text: str) -> int:
        """A chunk with a title, and the node that it stands for; the number of the node."""
        self.pieces.append(Piece(ChunkKind.PROSE, (*above, name), f"{name}\n{text}"))
        self.named.append(Named(kind, name, len(self.pieces) - 1))
        return len(self.named) - 1

    def _words(self, count: int) -> str:
        known, weights = vocabulary()
        return " ".join(self.random.choices(known, cum_weights=weights, k=count))

    def _sentences(self, count: int) -> str:
        size = self.random.randrange(count // 2, count * 3 // 2)
        end = f"for {self._number()}d6 damage" if self.random.random() < 1 / 4 else "again"
        return f"{self._words(size).capitalize()} {end}."

    def _number(self) -> int:
        return self.random.randrange(1, 21)


class MadeBook:
    """A job of one book: the port `RunDirectory` as far as an ingest needs it."""

    def __init__(self, folder: Path, number: int) -> None:
        """The book of that number; always the same."""
        self.folder = folder
        folder.mkdir(parents=True)
        self.manifest_bytes = Manifest.to_bytes
        self.book_id = f"book{number:02}.md"
        self.title = f"Rules of {spell_names()[number].title()}"
        self.chunks = random.Random(number).randrange(LEAST_CHUNKS, MOST_CHUNKS)
        self._source_id = sha256_hex(self.book_id.encode())
        writer = _Writer(number)
        writer.write(number, self.chunks)
        self.chunks = len(writer.pieces)
        self._texts = [each.text for each in writer.pieces]
        refs = [self._write(*each) for each in self._documents(writer)]
        entry = {
            "status": StageState.SUCCESS,
            "attempt": 1,
            "ended": MOMENT,
            "artifacts": refs,
            "producer": ME,
            "is_derived": False,
            "derived_from": "commits/make.a1.json",
        }
        self.manifest = Manifest(
            producer="bench",
            pipeline="rulebook",
            asset=Asset(
                id=self.book_id,
                input_hash=digest(self.book_id.encode()),
                uri="file:///x",
                size_bytes=1,
                media={},
            ),
            source_sha_map={self.book_id: digest(self.book_id.encode())},
            run_id="r1",
            env=ENV,
            profile="balanced",
            config={},
            config_hash=digest_of({}),
            status=RunState.SUCCESS,
            revision=1,
            created_at=MOMENT,
            updated_at=MOMENT + timedelta(minutes=number),
            stages={"make": StageEntry.model_validate(entry)},
            metrics={},
        )

    def fold_manifest(self, _lease: None) -> Manifest:
        """As it is."""
        return self.manifest

    def open(self, path: str) -> IO[bytes]:
        """A file."""
        return (self.folder / path).open("rb")

    def facts(self, _path: str) -> FileFacts | None:
        """Nothing asks."""
        raise NotImplementedError

    def _documents(self, writer: _Writer) -> Iterator[tuple[str, str, Any]]:
        """The schema, the path and the content of every file that a corpus is made of."""
        ids = [self._id("chunk", number) for number in range(self.chunks)]
        chunks = list(self._chunks(writer.pieces, ids))
        yield TOC, "passA_toc.json", [self._toc()]
        yield CHUNKS, "passC_chunks.json", chunks
        yield ENRICHED, "passD_enriched.json", [self._enriched(each) for each in chunks]
        yield GRAPH, "passE_graph.json", self._graph(writer, ids)
        yield CLEANUP, "passF_cleanup.json", self._cleanup()

    def _toc(self) -> dict[str, Any]:
        return {
            "source_id": self._source_id,
            "book_id": self.book_id,
            "file": self.book_id,
            "format": BookFormat.MARKDOWN,
            "title": self.title,
            "pages": 1 + self.chunks // 8,
            "reader": ME.model_dump(),
            "contents": Method.MARKUP,
            "licence": "CC-BY-4.0",
            "attribution": None,
            "sections": [],
            "unlisted": [],
            "dictionary": [],
            "remarks": [],
        }

    def _chunks(self, pieces: list[Piece], ids: list[str]) -> Iterator[dict[str, Any]]:
        for number, piece in enumerate(pieces):
            is_row, end = piece.view_of is not None, len(pieces) - 1
            page = 1 + number // 8
            yield {
                "chunk_id": ids[number],
                "anchor_id": self._id("anchor", number),
                "content_sha": sha256_hex(piece.text.encode()),
                "source_id": self._source_id,
                "page": page,
                "page_end": page,
                "page_label": str(page),
                "spans": [{"page": page, "char_start": 0, "char_end": len(piece.text)}],
                "kind": piece.kind,
                "breadcrumb": piece.breadcrumb,
                "text_raw": piece.text,
                "text": piece.text,
                "prev": ids[number - 1] if number and not is_row else None,
                "next": ids[number + 1] if number < end and not is_row else None,
                "view_of": ids[piece.view_of] if piece.view_of is not None else None,
                "metadata": {"book_id": self.book_id, "section_id": None},
            }

    def _enriched(self, chunk: dict[str, Any]) -> dict[str, Any]:
        told = {"chunk_id": chunk["chunk_id"], "source_id": self._source_id}
        return told | {"normalized": chunk["text"], "norm_ops": [], "entities": [], "keywords": []}

    def _graph(self, writer: _Writer, ids: list[str]) -> dict[str, Any]:
        nodes = [
            {
                "node_id": f"{each.kind}:{number}:{self.book_id}",
                "kind": each.kind,
                "name": each.name,
                "source_id": self._source_id,
                "chunk_ids": [ids[each.chunk]],
            }
            for number, each in enumerate(writer.named)
        ]
        told = [("lists", "list entry", *each) for each in writer.lists]
        told += [
            ("contains", "section tree", before, after, writer.named[after].chunk)
            for before, after in pairwise(range(len(nodes)))
        ]
        told += [
            ("mentions", "dictionary term", one, other, writer.named[one].chunk)
            for one in range(len(nodes))
            for other in writer.random.sample(range(len(nodes)), 2)
            if one != other
        ]
        edges = [
            {
                "edge_id": self._id("edge", number),
                "type": kind,
                "src": nodes[src]["node_id"],
                "dst": nodes[dst]["node_id"],
                "chunk_ids": [ids[chunk]],
                "page": 1 + chunk // 8,
                "rule": rule,
                "evidence": writer.named[dst].name,
            }
            for number, (kind, rule, src, dst, chunk) in enumerate(told)
        ]
        return {"nodes": nodes, "edges": edges, "unresolved": []}

    def _cleanup(self) -> dict[str, Any]:
        counts = dict.fromkeys(("stale_deleted", "kept", "changed"), 0) | {"added": self.chunks}
        edition = sha256_hex(f"edition of {self.book_id}".encode())
        named: dict[str, Any] = {"source_id": self._source_id, "book_id": self.book_id}
        book = named | {"before": None, "edition": edition, "orphans_removed": 0, **counts}
        told = {"stale": [], "orphans_removed": [], "fixes": [], "checks": [], "books": [book]}
        return counts | told

    def _id(self, what: str, number: int) -> str:
        return hashlib.sha256(f"{self.book_id} {what} {number}".encode()).hexdigest()[:20]

    def _write(self, schema: str, path: str, document: Any) -> ArtifactRef:
        data = canonical_json(document) + b"\n"
        (self.folder / path).write_bytes(data)
        return ArtifactRef(
            key=schema,
            path=path,
            sha256=sha256_hex(data),
            size_bytes=len(data),
            media_type="application/json",
            schema_name=schema,
            schema_version=1,
            records=1,
            artifact_type=None,
        )
