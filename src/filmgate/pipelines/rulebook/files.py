"""The files of a rulebook run and their contracts, by the pass that makes them."""

from filmgate.core.files import binary, document, records
from filmgate.pipelines.rulebook.contracts import (
    CHUNKS,
    CLEANUP,
    ENRICHED,
    GRAPH,
    TOC,
    AllCoverage,
    AllEnriched,
    AllSplits,
    Chunks,
    Cleanup,
    Graph,
    SourcePage,
    Tocs,
)

PASS_A = document("passA_toc.json", Tocs, schema=TOC)
PAGES = records("passA_pages.jsonl", SourcePage, schema="rulebook.page", counted_as="pages")
PASS_B = document("passB_splits.json", AllSplits, schema="rulebook.splits")
PARTS = binary("passB_parts.zip", schema="rulebook.parts", media_type="application/zip")
PASS_C = document("passC_chunks.json", Chunks, schema=CHUNKS)
COVERAGE = document("passC_coverage.json", AllCoverage, schema="rulebook.coverage")
PASS_D = document("passD_enriched.json", AllEnriched, schema=ENRICHED)
PASS_E = document("passE_graph.json", Graph, schema=GRAPH)
PASS_F = document("passF_cleanup.json", Cleanup, schema=CLEANUP)
