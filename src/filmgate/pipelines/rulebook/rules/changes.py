"""Changes: how a printing of a book differs from the one before, and whether all is in order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from filmgate.core.digest import sha256_hex
from filmgate.core.rulebook import (
    BookChange,
    Check,
    Chunk,
    ChunkKind,
    Cleanup,
    Coverage,
    Edition,
    Editions,
    Enriched,
    Fix,
    Graph,
    Stale,
    Toc,
    by_book,
    edition_of,
)

NONE_BEFORE = Edition(edition="0" * 64, chunks={}, nodes={})


class Printing(NamedTuple):
    """A book as the passes before made it."""

    source_id: str
    book_id: str
    chunks: tuple[Chunk, ...]
    graph: Graph


def before(now: Edition, kept: Sequence[Edition]) -> Edition | None:
    """The printing to hold this one against: the last that differs. So what is told is the same
    whether this one was taken in already or not."""
    return next((each for each in kept if each.edition != now.edition), None)


def cleanup(
    printings: Sequence[Printing],
    editions: Editions | None,
    checks: Sequence[Check],
    fixes: Sequence[Fix] = (),
) -> Cleanup:
    """What taking the printings in does to the corpus."""
    books: list[BookChange] = []
    stale: list[Stale] = []
    orphans: list[str] = []
    for each in printings:
        now = edition_of(each.chunks, each.graph.nodes, each.graph.edges)
        earlier = before(now, editions.books.get(each.book_id, ()) if editions else ())
        change, gone, lost = _change(each, now, earlier or NONE_BEFORE, is_first=earlier is None)
        books.append(change)
        stale += gone
        orphans += lost
    return Cleanup(
        stale_deleted=len(stale),
        stale=tuple(stale),
        kept=sum(each.kept for each in books),
        added=sum(each.added for each in books),
        changed=sum(each.changed for each in books),
        orphans_removed=tuple(orphans),
        books=tuple(books),
        fixes=tuple(fixes),
        checks=tuple(checks),
    )


def _change(
    printing: Printing, now: Edition, earlier: Edition, *, is_first: bool
) -> tuple[BookChange, list[Stale], list[str]]:
    here, there = set(now.chunks.values()), set(earlier.chunks.values())
    anchors = {chunk_id: anchor for anchor, chunk_id in earlier.chunks.items()}
    stale = [
        Stale(
            chunk_id=chunk_id,
            book_id=printing.book_id,
            reason="changed"
            if now.chunks.get(anchors[chunk_id], chunk_id) not in there
            else "gone",
        )
        for chunk_id in sorted(there - here)
    ]
    changed = sum(each.reason == "changed" for each in stale)
    orphans = sorted(earlier.nodes.keys() - now.nodes.keys())
    change = BookChange(
        source_id=printing.source_id,
        book_id=printing.book_id,
        edition=now.edition,
        before=None if is_first else earlier.edition,
        kept=len(here & there),
        added=len(here - there) - changed,
        changed=changed,
        stale_deleted=len(stale),
        orphans_removed=len(orphans),
    )
    return change, stale, orphans


def fixes(tocs: Iterable[Toc], enriched: Iterable[Enriched]) -> tuple[Fix, ...]:
    """What was mended of what typesetters and tables of contents left: how many chunks, by what was
    done to them, and how many titles."""
    done = Counter(name for each in enriched for name in each.norm_ops)
    titles = sum(each.printed is not None for toc in tocs for each in toc.sections)
    told = {**done, "titles_as_printed": titles}
    return tuple(Fix(name=name, count=told[name]) for name in sorted(told))


def signs_of_a_hand(chunks: Sequence[Chunk], accounts: Sequence[Coverage]) -> tuple[Check, ...]:
    """Whether chunks are as pass C makes them; where they were mended and adopted they are not, and
    that is told, not forbidden."""
    other = [e.chunk_id for e in chunks if sha256_hex(e.text.encode("utf-8")) != e.content_sha]
    base = by_book(each for each in chunks if each.kind is not ChunkKind.ROW)
    missing = [
        each.book_id
        for each in accounts
        if each.in_chunks
        != sum(len("".join(c.text_raw.split())) for c in base.get(each.source_id, ()))
    ]
    return (
        Check(name="texts are those that were read", is_met=not other, found=_told(other)),
        Check(name="books are covered as pass C says", is_met=not missing, found=_told(missing)),
    )


def checks(
    chunks: Sequence[Chunk], enriched: Sequence[Enriched], whole: Graph
) -> tuple[Check, ...]:
    """What must hold of a corpus, each with what was found."""
    ids = Counter(each.chunk_id for each in chunks)
    nodes = {each.node_id for each in whole.nodes}
    flow = {e.chunk_id: e for e in chunks if e.kind is not ChunkKind.ROW}
    faults = {
        "chunk ids are unique": [name for name, count in ids.items() if count > 1],
        "every chunk is enriched once, in order": _differing(chunks, enriched),
        "entities lie within their text": [
            each.chunk_id
            for each in enriched
            for entity in each.entities
            if not entity.start < entity.end <= len(each.normalized)
        ],
        "chunks follow each other": [
            each.chunk_id
            for each in flow.values()
            if each.next is not None
            and (each.next not in flow or flow[each.next].prev != each.chunk_id)
        ],
        "rows stand in a table": [
            each.chunk_id
            for each in chunks
            if (each.kind is ChunkKind.ROW) != (each.view_of is not None and each.view_of in ids)
        ],
        "every node has a chunk": [
            each.node_id
            for each in whole.nodes
            if not each.chunk_ids or any(one not in ids for one in each.chunk_ids)
        ],
        "every edge has its chunks": [
            each.edge_id for each in whole.edges if any(one not in ids for one in each.chunk_ids)
        ],
        "every edge has its nodes": [
            each.edge_id for each in whole.edges if each.src not in nodes or each.dst not in nodes
        ],
        "node ids are unique": [
            name for name, n in Counter(e.node_id for e in whole.nodes).items() if n > 1
        ],
    }
    return tuple(
        Check(name=name, is_met=not found, found=_told(found)) for name, found in faults.items()
    )


def _differing(chunks: Sequence[Chunk], enriched: Sequence[Enriched]) -> list[str]:
    one, other = [e.chunk_id for e in chunks], [e.chunk_id for e in enriched]
    return [] if one == other else sorted(set(one) ^ set(other)) or ["another order"]


def _told(found: Sequence[str]) -> str:
    if not found:
        return "no fault"
    return f"{len(found)} at fault: {', '.join(found[:5])}"
