"""Pass F: check the files of all passes, and report what an ingest changes in the corpus."""

from collections.abc import Sequence

from pydantic import ValidationError

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, first_fault
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.pipelines.rulebook.contracts import (
    CORPUS,
    AllCoverage,
    AllEnriched,
    Chunk,
    Chunks,
    Editions,
    Graph,
    Toc,
    Tocs,
    group_by_book,
    group_edges_by_book,
)
from filmgate.pipelines.rulebook.files import COVERAGE, PASS_A, PASS_C, PASS_D, PASS_E, PASS_F
from filmgate.pipelines.rulebook.pass_a import read_books
from filmgate.pipelines.rulebook.pass_c import chunk_books
from filmgate.pipelines.rulebook.pass_d import enrich_chunks
from filmgate.pipelines.rulebook.pass_e import link_rules
from filmgate.pipelines.rulebook.pass_entry import moved_to
from filmgate.pipelines.rulebook.rules.changes import (
    Printing,
    check_consistency,
    check_manual_edits,
    compare_printings,
    count_fixes,
)

VERSION = 1


@stage(
    name="F",
    requires=[read_books.name, chunk_books.name, enrich_chunks.name, link_rules.name],
    makes=[PASS_F],
    reads_resources=[CORPUS],
    version=VERSION,
)
def check_corpus(context: StageContext, _: Settings) -> Outcome:
    """Check the files of the passes, and compare each book with its previous printing."""
    tocs = context.read_document(PASS_A, Tocs).root
    chunks = context.read_document(PASS_C, Chunks).root
    enriched = context.read_document(PASS_D, AllEnriched).root
    graph = context.read_document(PASS_E, Graph)
    coverages = context.read_document(COVERAGE, AllCoverage).root
    checks = check_consistency(chunks, enriched, graph)
    if broken := [check for check in checks if not check.is_met]:
        raise Invalid(
            "the files of the passes are inconsistent",
            expected=", ".join(check.name for check in broken),
            got="; ".join(check.found for check in broken),
            hint="Run the passes again from C: --resume-from C --force",
        )
    edit_checks = check_manual_edits(chunks, coverages)
    for check in edit_checks:
        if not check.is_met:
            context.warn("mended_by_hand", f"{check.name}: {check.found}")
    result = compare_printings(
        _make_printings(tocs, chunks, graph),
        _read_editions(context),
        (*checks, *edit_checks),
        count_fixes(tocs, enriched),
    )
    context.write_document(PASS_F, result)
    compared = [book for book in result.books if book.before is not None]
    return Done(
        producer=Producer(name="filmgate-cleanup", version=str(VERSION)),
        counts={
            "books": len(result.books),
            "with an earlier printing": len(compared),
            "kept": sum(book.kept for book in compared),
            "added": sum(book.added for book in compared),
            "changed": result.changed,
            "stale": result.stale_deleted,
        },
    )


run = moved_to("filmgate.ingest.pass_f")


def _make_printings(tocs: Sequence[Toc], chunks: Sequence[Chunk], graph: Graph) -> list[Printing]:
    """Return the printings of all books that passed the earlier passes.

    A book without chunks was refused by one of the passes; its printing in the corpus stays
    unchanged.
    """
    chunks_of, nodes_of, edges_of = (
        group_by_book(chunks),
        group_by_book(graph.nodes),
        group_edges_by_book(graph),
    )
    return [
        Printing(
            source_id=toc.source_id,
            book_id=toc.book_id,
            chunks=tuple(chunks_of[toc.source_id]),
            graph=Graph(
                nodes=tuple(nodes_of.get(toc.source_id, ())),
                edges=tuple(edges_of.get(toc.source_id, ())),
                unresolved=(),
            ),
        )
        for toc in tocs
        if toc.source_id in chunks_of
    ]


def _read_editions(context: StageContext) -> Editions | None:
    """Read the earlier printings in the corpus; None without a corpus.

    Raises Invalid if their snapshot changed since the gate was checked, or cannot be parsed.
    """
    resource = context.resource(CORPUS)
    if resource is None:
        return None
    data = resource.path.read_bytes()
    if sha256_hex(data) != resource.sha256:
        raise Invalid(
            "the snapshot of the corpus has changed",
            expected=f"sha256 {resource.sha256}",
            got=f"sha256 {sha256_hex(data)}",
        )
    try:
        return Editions.model_validate_json(data)
    except ValidationError as error:
        raise Invalid("the snapshot of the corpus is invalid", got=first_fault(error)) from error
