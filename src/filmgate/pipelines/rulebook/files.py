"""The files of a rulebook run: what each pass makes, under which contract."""

from filmgate.core.files import binary, document, records
from filmgate.core.rulebook import (
    CHUNKS,
    CLEANUP,
    ENRICHED,
    GRAPH,
    TOC,
    Chunks,
    Cleanup,
    CoverageOfAll,
    EnrichedAll,
    Graph,
    SourcePage,
    SplitsOfAll,
    Tocs,
)

PASS_A = document("passA_toc.json", Tocs, schema=TOC)
PAGES = records("passA_pages.jsonl", SourcePage, schema="rulebook.page", counted_as="pages")
PASS_B = document("passB_splits.json", SplitsOfAll, schema="rulebook.splits")
PARTS = binary("passB_parts.zip", schema="rulebook.parts", media_type="application/zip")
PASS_C = document("passC_chunks.json", Chunks, schema=CHUNKS)
COVERAGE = document("passC_coverage.json", CoverageOfAll, schema="rulebook.coverage")
PASS_D = document("passD_enriched.json", EnrichedAll, schema=ENRICHED)
PASS_E = document("passE_graph.json", Graph, schema=GRAPH)
PASS_F = document("passF_cleanup.json", Cleanup, schema=CLEANUP)
