"""Pass E: the graph of rules: sections, what they are about, and what refers to what."""

from typing import Literal

from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.rulebook import Chunks, EnrichedAll, Graph, Tocs, by_book
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import PASS_A, PASS_C, PASS_D, PASS_E
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.pipelines.rulebook.pass_c import C
from filmgate.pipelines.rulebook.pass_d import D
from filmgate.pipelines.rulebook.rules.linking import graph
from filmgate.tools.llama_graph import LlamaIndexGraph

VERSION = 1


class PassESettings(Settings):
    """How the graph is made."""

    graph: Literal["native", "llamaindex"] = "native"
    """Who drives the rules: this pass, or a pipeline of LlamaIndex's components."""


@stage(
    requires=[A.name, C.name, D.name],
    makes=[PASS_E],
    settings=PassESettings,
    optional_tools=["llama-index-core"],
    version=VERSION,
)
def E(bench: Bench, settings: PassESettings) -> Outcome:  # noqa: N802 - what the pass is called
    """Nodes and edges of every book; no book's are another's."""
    tocs = bench.read_document(PASS_A, Tocs).root
    chunks = bench.read_document(PASS_C, Chunks).root
    enriched = bench.read_document(PASS_D, EnrichedAll).root
    llama = LlamaIndexGraph() if settings.graph == "llamaindex" else None
    graphs: list[Graph] = []
    chunks_of, enriched_of = by_book(chunks), by_book(enriched)
    for number, toc in enumerate(tocs):
        bench.progress(number, len(tocs))
        own = chunks_of.get(toc.source_id, [])
        made = graph(toc, own, enriched_of.get(toc.source_id, []))
        graphs.append(llama.through(own, made) if llama is not None else made)
    whole = Graph(
        nodes=tuple(node for each in graphs for node in each.nodes),
        edges=tuple(edge for each in graphs for edge in each.edges),
        unresolved=tuple(one for each in graphs for one in each.unresolved),
    )
    bench.write_document(PASS_E, whole)
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


run = door(E)
