"""LlamaIndex's components around the graph: nodes and relations go through a transformation of
theirs, and the graph can be had as a property graph store of theirs."""

from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Unavailable
from filmgate.core.plan import Producer
from filmgate.core.rulebook import Chunk, Edge, Graph, Node

if TYPE_CHECKING:
    from llama_index.core.graph_stores import SimplePropertyGraphStore

PACKAGE = "llama-index-core"


class LlamaIndexGraph:
    """Drives the making of a graph by LlamaIndex.

    Its own stores name entities by their names alone, and keep one chunk of each: so nodes and
    relations are collected from its transformation into ours, which is sorted and keeps all.
    """

    def __init__(self) -> None:
        try:
            import llama_index.core  # noqa: F401 - whether it is there
        except ImportError as error:
            raise Unavailable(
                "LlamaIndex is not installed",
                expected="the packages of the extra 'llamaindex'",
                got="no llama-index-core",
                hint="pip install 'filmgate[llamaindex]', or leave --graph out",
            ) from error

    @property
    def producer(self) -> Producer:
        """LlamaIndex."""
        return Producer(name=PACKAGE, version=metadata.version(PACKAGE))

    def through(self, chunks: Sequence[Chunk], graph: Graph) -> Graph:
        """A graph as it comes out of an ingestion pipeline over the chunks as text nodes."""
        from llama_index.core.graph_stores.types import KG_NODES_KEY, KG_RELATIONS_KEY
        from llama_index.core.ingestion import run_transformations
        from llama_index.core.schema import TextNode

        texts = [TextNode(id_=each.chunk_id, text=each.text) for each in chunks]
        done = run_transformations(texts, [_transformation(graph)], show_progress=False)
        nodes: dict[str, Node] = {}
        edges: dict[str, Edge] = {}
        for text in done:
            for entity in text.metadata.get(KG_NODES_KEY, ()):
                node = Node.model_validate_json(entity.properties["filmgate"])
                nodes[node.node_id] = node
            for relation in text.metadata.get(KG_RELATIONS_KEY, ()):
                edge = Edge.model_validate_json(relation.properties["filmgate"])
                edges[edge.edge_id] = edge
        order = sorted(edges.values(), key=lambda each: (each.type, each.src, each.dst, each.rule))
        return Graph(
            nodes=tuple(nodes[name] for name in sorted(nodes)),
            edges=tuple(order),
            unresolved=graph.unresolved,
        )


def _transformation(graph: Graph) -> Any:
    """A component that puts onto each text node what the graph says of its chunk."""
    from llama_index.core.graph_stores.types import KG_NODES_KEY, KG_RELATIONS_KEY
    from llama_index.core.schema import TransformComponent

    entities = _by_chunk([(each.chunk_ids, entity_of(each)) for each in graph.nodes])
    relations = _by_chunk([(each.chunk_ids, relation_of(each)) for each in graph.edges])

    class Told(TransformComponent):
        def __call__(self, nodes: Any, **_: Any) -> Any:
            for node in nodes:
                node.metadata[KG_NODES_KEY] = entities.get(node.node_id, [])
                node.metadata[KG_RELATIONS_KEY] = relations.get(node.node_id, [])
            return nodes

    return Told()


def _by_chunk(told: Sequence[tuple[tuple[str, ...], Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for chunk_ids, value in told:
        for chunk_id in chunk_ids:
            found.setdefault(chunk_id, []).append(value)
    return found


def entity_of(node: Node) -> Any:
    """A node as LlamaIndex has it, under our id, so that no two of one name are merged."""
    from llama_index.core.graph_stores.types import EntityNode

    told = {"filmgate": node.model_dump_json(), "title": node.name}
    return EntityNode(name=node.node_id, label=node.kind, properties=told)


def relation_of(edge: Edge) -> Any:
    """An edge as LlamaIndex has it."""
    from llama_index.core.graph_stores.types import Relation

    told = {"filmgate": edge.model_dump_json(), "rule": edge.rule, "page": edge.page}
    return Relation(label=edge.type, source_id=edge.src, target_id=edge.dst, properties=told)


def property_graph(graph: Graph) -> "SimplePropertyGraphStore":
    """The graph as a store that LlamaIndex's retrievers ask."""
    from llama_index.core.graph_stores import SimplePropertyGraphStore

    store = SimplePropertyGraphStore()
    store.upsert_nodes([entity_of(each) for each in graph.nodes])
    store.upsert_relations([relation_of(each) for each in graph.edges])
    return store
