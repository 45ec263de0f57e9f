"""Adapter to LlamaIndex: runs the graph through an ingestion pipeline."""

from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, TypeVar

from filmgate.core.errors import Unavailable
from filmgate.core.plan import Producer
from filmgate.pipelines.rulebook.contracts import Chunk, Edge, Graph, Node

if TYPE_CHECKING:
    from llama_index.core.graph_stores.types import EntityNode, Relation
    from llama_index.core.schema import TransformComponent

Value = TypeVar("Value")

PACKAGE = "llama-index-core"


class LlamaIndexGraph:
    """Runs a graph through a LlamaIndex ingestion pipeline.

    LlamaIndex's own stores identify entities by name and store one chunk of each. Therefore nodes
    and relations are collected from its transformation into a `Graph`, which is sorted and
    complete.
    """

    def __init__(self) -> None:
        try:
            import llama_index.core  # noqa: F401 - checks that it is installed
        except ImportError as error:
            raise Unavailable(
                "LlamaIndex is not installed",
                expected="the packages of the extra 'llamaindex'",
                got="no llama-index-core",
                hint="pip install 'filmgate[llamaindex]', or omit --graph",
            ) from error

    @property
    def producer(self) -> Producer:
        """LlamaIndex and its version."""
        return Producer(name=PACKAGE, version=metadata.version(PACKAGE))

    def transform(self, chunks: Sequence[Chunk], graph: Graph) -> Graph:
        """Run an ingestion pipeline over the chunks as text nodes, and return the resulting
        graph."""
        from llama_index.core.graph_stores.types import KG_NODES_KEY, KG_RELATIONS_KEY
        from llama_index.core.ingestion import run_transformations
        from llama_index.core.schema import TextNode

        text_nodes = [TextNode(id_=chunk.chunk_id, text=chunk.text) for chunk in chunks]
        transformed = run_transformations(text_nodes, [_transformation(graph)], show_progress=False)
        nodes: dict[str, Node] = {}
        edges: dict[str, Edge] = {}
        for text_node in transformed:
            for entity in text_node.metadata.get(KG_NODES_KEY, ()):
                node = Node.model_validate_json(entity.properties["filmgate"])
                nodes[node.node_id] = node
            for relation in text_node.metadata.get(KG_RELATIONS_KEY, ()):
                edge = Edge.model_validate_json(relation.properties["filmgate"])
                edges[edge.edge_id] = edge
        sorted_edges = sorted(
            edges.values(), key=lambda edge: (edge.type, edge.src, edge.dst, edge.rule)
        )
        return Graph(
            nodes=tuple(nodes[node_id] for node_id in sorted(nodes)),
            edges=tuple(sorted_edges),
            unresolved=graph.unresolved,
        )


def _transformation(graph: Graph) -> "TransformComponent":
    """Make a component that attaches the nodes and relations of each chunk to its text node."""
    from llama_index.core.graph_stores.types import KG_NODES_KEY, KG_RELATIONS_KEY
    from llama_index.core.schema import BaseNode, TransformComponent

    entities = _group_by_chunk([(node.chunk_ids, to_entity(node)) for node in graph.nodes])
    relations = _group_by_chunk([(edge.chunk_ids, to_relation(edge)) for edge in graph.edges])

    class AttachGraph(TransformComponent):
        def __call__(self, nodes: Sequence[BaseNode], **_: object) -> Sequence[BaseNode]:
            for node in nodes:
                node.metadata[KG_NODES_KEY] = entities.get(node.node_id, [])
                node.metadata[KG_RELATIONS_KEY] = relations.get(node.node_id, [])
            return nodes

    return AttachGraph()


def _group_by_chunk(
    values: Sequence[tuple[tuple[str, ...], Value]],
) -> dict[str, list[Value]]:
    by_chunk: dict[str, list[Value]] = {}
    for chunk_ids, value in values:
        for chunk_id in chunk_ids:
            by_chunk.setdefault(chunk_id, []).append(value)
    return by_chunk


def to_entity(node: Node) -> "EntityNode":
    """Convert a node to a LlamaIndex entity.

    The name of the entity is the node id, so that two nodes with the same name are not merged.
    """
    from llama_index.core.graph_stores.types import EntityNode

    properties = {"filmgate": node.model_dump_json(), "title": node.name}
    return EntityNode(name=node.node_id, label=node.kind, properties=properties)


def to_relation(edge: Edge) -> "Relation":
    """Convert an edge to a LlamaIndex relation."""
    from llama_index.core.graph_stores.types import Relation

    properties = {"filmgate": edge.model_dump_json(), "rule": edge.rule, "page": edge.page}
    return Relation(label=edge.type, source_id=edge.src, target_id=edge.dst, properties=properties)
