"""Pass F: what taking this in changes in the corpus, and whether all of it is in order."""

from pydantic import ValidationError

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, first_fault
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.rulebook import (
    CORPUS,
    Chunks,
    Editions,
    EnrichedAll,
    Graph,
    Tocs,
)
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import PASS_A, PASS_C, PASS_D, PASS_E, PASS_F
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.pipelines.rulebook.pass_c import C
from filmgate.pipelines.rulebook.pass_d import D
from filmgate.pipelines.rulebook.pass_e import E
from filmgate.pipelines.rulebook.rules.changes import Printing, checks, cleanup

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
    held = checks(chunks, enriched, whole)
    if broken := [each for each in held if not each.is_met]:
        raise Invalid(
            "what the passes made is not in order",
            expected=", ".join(each.name for each in broken),
            got="; ".join(each.found for each in broken),
            hint="Run the passes again from C: --resume-from C --force",
        )
    printings = [
        Printing(
            source_id=toc.source_id,
            book_id=toc.book_id,
            chunks=tuple(each for each in chunks if each.source_id == toc.source_id),
            graph=_of_book(whole, toc.source_id),
        )
        for toc in tocs
    ]
    found = cleanup(printings, _editions(bench), held)
    bench.write_document(PASS_F, found)
    return Done(
        producer=Producer(name="filmgate-cleanup", version=str(VERSION)),
        counts={
            "kept": found.kept,
            "added": found.added,
            "changed": found.changed,
            "stale": found.stale_deleted,
        },
    )


run = door(F)


def _of_book(whole: Graph, source_id: str) -> Graph:
    nodes = tuple(each for each in whole.nodes if each.source_id == source_id)
    mine = {each.node_id for each in nodes}
    edges = tuple(each for each in whole.edges if each.src in mine or each.dst in mine)
    return Graph(nodes=nodes, edges=edges, unresolved=())


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
