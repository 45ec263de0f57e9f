"""Pass E: build the graph of entities, which sections describe, and of their relations."""

from typing import Literal

from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.pipelines.rulebook.contracts import AllEnriched, Chunks, Graph, Tocs, group_by_book
from filmgate.pipelines.rulebook.files import PASS_A, PASS_C, PASS_D, PASS_E
from filmgate.pipelines.rulebook.llama_graph import LlamaIndexGraph
from filmgate.pipelines.rulebook.pass_a import read_books
from filmgate.pipelines.rulebook.pass_c import chunk_books
from filmgate.pipelines.rulebook.pass_d import enrich_chunks
from filmgate.pipelines.rulebook.pass_entry import moved_to
from filmgate.pipelines.rulebook.rules.linking import build_graph

VERSION = 1


class PassESettings(Settings):
    """How the graph is built."""

    graph: Literal["native", "llamaindex"] = "native"
    """`native`: the graph as this pass builds it. `llamaindex`: the same graph, run through an
    ingestion pipeline of LlamaIndex."""


@stage(
    name="E",
    requires=[read_books.name, chunk_books.name, enrich_chunks.name],
    makes=[PASS_E],
    settings=PassESettings,
    optional_tools=["llama-index-core"],
    version=VERSION,
)
def link_rules(context: StageContext, settings: PassESettings) -> Outcome:
    """Build the nodes and edges of each book; no edge connects two books."""
    tocs = context.read_document(PASS_A, Tocs).root
    chunks = context.read_document(PASS_C, Chunks).root
    enriched = context.read_document(PASS_D, AllEnriched).root
    llama = LlamaIndexGraph() if settings.graph == "llamaindex" else None
    graphs: list[Graph] = []
    chunks_of, enriched_of = group_by_book(chunks), group_by_book(enriched)
    for number, toc in enumerate(tocs):
        context.progress(number, len(tocs))
        book_chunks = chunks_of.get(toc.source_id, [])
        graph = build_graph(toc, book_chunks, enriched_of.get(toc.source_id, []))
        graphs.append(llama.transform(book_chunks, graph) if llama is not None else graph)
    whole = Graph(
        nodes=tuple(node for graph in graphs for node in graph.nodes),
        edges=tuple(edge for graph in graphs for edge in graph.edges),
        unresolved=tuple(reference for graph in graphs for reference in graph.unresolved),
    )
    context.write_document(PASS_E, whole)
    return Done(
        producer=llama.producer
        if llama is not None
        else Producer(name="filmgate-graph", version=str(VERSION)),
        counts={
            "nodes": len(whole.nodes),
            "edges": len(whole.edges),
            "unresolved": len(whole.unresolved),
        },
    )


run = moved_to("filmgate.ingest.pass_e")
