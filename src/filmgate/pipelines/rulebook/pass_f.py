"""Pass F: what taking this in changes in the corpus, and whether all of it is in order."""

from collections.abc import Sequence

from pydantic import ValidationError

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, first_fault
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.rulebook import (
    CORPUS,
    Chunk,
    Chunks,
    CoverageOfAll,
    Editions,
    EnrichedAll,
    Graph,
    Toc,
    Tocs,
    by_book,
    edges_by_book,
)
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import COVERAGE, PASS_A, PASS_C, PASS_D, PASS_E, PASS_F
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.pipelines.rulebook.pass_c import C
from filmgate.pipelines.rulebook.pass_d import D
from filmgate.pipelines.rulebook.pass_e import E
from filmgate.pipelines.rulebook.rules.changes import (
    Printing,
    checks,
    cleanup,
    fixes,
    signs_of_a_hand,
)

VERSION = 1


@stage(
    requires=[A.name, C.name, D.name, E.name],
    makes=[PASS_F],
    consults=[CORPUS],
    version=VERSION,
)
def F(bench: Bench, _: Settings) -> Outcome:  # noqa: N802 - what the pass is called
    """Hold the books against their last printings, and all that was made against its rules."""
    tocs = bench.read_document(PASS_A, Tocs).root
    chunks = bench.read_document(PASS_C, Chunks).root
    enriched = bench.read_document(PASS_D, EnrichedAll).root
    whole = bench.read_document(PASS_E, Graph)
    accounts = bench.read_document(COVERAGE, CoverageOfAll).root
    held = checks(chunks, enriched, whole)
    if broken := [each for each in held if not each.is_met]:
        raise Invalid(
            "what the passes made is not in order",
            expected=", ".join(each.name for each in broken),
            got="; ".join(each.found for each in broken),
            hint="Run the passes again from C: --resume-from C --force",
        )
    mended = signs_of_a_hand(chunks, accounts)
    for each in mended:
        if not each.is_met:
            bench.warn("mended_by_hand", f"{each.name}: {each.found}")
    found = cleanup(
        _printings(tocs, chunks, whole), _editions(bench), (*held, *mended), fixes(tocs, enriched)
    )
    bench.write_document(PASS_F, found)
    compared = [each for each in found.books if each.before is not None]
    return Done(
        producer=Producer(name="filmgate-cleanup", version=str(VERSION)),
        counts={
            "books": len(found.books),
            "with an earlier printing": len(compared),
            "kept": sum(each.kept for each in compared),
            "added": sum(each.added for each in compared),
            "changed": found.changed,
            "stale": found.stale_deleted,
        },
    )


run = door(F)


def _printings(tocs: Sequence[Toc], chunks: Sequence[Chunk], whole: Graph) -> list[Printing]:
    """The books that came as far as here: one that an earlier pass refused leaves the corpus as it
    was."""
    chunks_of, nodes_of, edges_of = by_book(chunks), by_book(whole.nodes), edges_by_book(whole)
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


def _editions(bench: Bench) -> Editions | None:
    """What the corpus keeps of earlier printings; Invalid where it changed while it was read."""
    resource = bench.resource(CORPUS)
    if resource is None:
        return None
    data = resource.path.read_bytes()
    if sha256_hex(data) != resource.sha256:
        raise Invalid(
            "what is known of the corpus changed meanwhile", expected=resource.sha256, got="other"
        )
    try:
        return Editions.model_validate_json(data)
    except ValidationError as error:
        raise Invalid(
            "what is known of the corpus cannot be read", got=first_fault(error)
        ) from error
