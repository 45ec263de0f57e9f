"""Rulebooks from uploads to answers, through the command line."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import NotFound
from filmgate.pipelines.rulebook import pass_b
from support import books
from support.command import Filmgate

ARTIFACTS = (
    "passA_toc.json",
    "passA_pages.jsonl",
    "passB_splits.json",
    "passB_parts.zip",
    "passC_chunks.json",
    "passC_coverage.json",
    "passD_enriched.json",
    "passE_graph.json",
    "passF_cleanup.json",
)


@pytest.fixture
def filmgate(tmp_path: Path, database_url: str) -> Filmgate:
    return Filmgate(tmp_path / "home", database_url)


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "rules.md").write_text(books.RULES)
    (folder / "gear.html").write_text(books.TABLE)
    return folder


def run(filmgate: Filmgate, *arguments: object, code: int = 0) -> dict[str, Any]:
    return filmgate.json("run", "rulebook", *arguments, code=code)


def job_folder(filmgate: Filmgate, manifest: dict[str, Any]) -> Path:
    return filmgate.home / "artifacts" / "ingest" / str(manifest["env"]) / str(manifest["job_id"])


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256_hex((folder / name).read_bytes()) for name in ARTIFACTS}


def states(manifest: dict[str, Any]) -> dict[str, str]:
    return {name: entry["status"] for name, entry in manifest["passes"].items()}


def attempts(manifest: dict[str, Any]) -> dict[str, int]:
    return {name: entry["attempt"] for name, entry in manifest["passes"].items()}


def document(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


def test_a_job_runs_all_six_passes_and_writes_their_files(
    filmgate: Filmgate, uploads: Path
) -> None:
    manifest = run(filmgate, "--uploads", uploads, "--env", "prod")
    assert states(manifest) == dict.fromkeys("ABCDEF", "SUCCESS")
    assert manifest["passes"] == manifest["stages"]
    assert manifest["job_id"] == manifest["run_id"]
    assert set(manifest["source_sha_map"]) == {"rules.md", "gear.html"}
    folder = job_folder(filmgate, manifest)
    assert folder.parent == filmgate.home / "artifacts" / "ingest" / "prod"
    assert [toc["file"] for toc in document(folder, "passA_toc.json")] == ["gear.html", "rules.md"]
    chunks = document(folder, "passC_chunks.json")
    enriched = document(folder, "passD_enriched.json")
    assert [each["chunk_id"] for each in chunks] == [each["chunk_id"] for each in enriched]
    assert {"chunk_id", "source_id", "page", "text", "metadata"} <= set(chunks[0])
    for account in document(folder, "passC_coverage.json"):
        assert account["in_chunks"] == account["characters"]
    graph = document(folder, "passE_graph.json")
    names = {node["node_id"]: node["name"] for node in graph["nodes"]}
    assert {(names[e["src"]], names[e["dst"]]) for e in graph["edges"] if e["type"] == "lists"} == {
        ("Lamplighter", "Kindle"),
        ("Lamplighter", "Cold Flame"),
        ("Keeper", "Calm Water"),
        ("Keeper", "Cold Flame"),
    }
    assert filmgate("status", manifest["job_id"]).returncode == 0
    assert filmgate("verify", str(folder)).returncode == 0


@pytest.mark.proof
def test_the_same_books_make_the_same_bytes_in_any_folder(
    filmgate: Filmgate, uploads: Path, tmp_path: Path
) -> None:
    first = digests(job_folder(filmgate, run(filmgate, "--uploads", uploads)))
    moved = tmp_path / "elsewhere" / uploads.name
    shutil.copytree(uploads, moved)
    for path in moved.iterdir():
        os.utime(path, (1, 1))
    filmgate.env["PYTHONHASHSEED"] = "7"
    filmgate.env["TZ"] = "Asia/Tokyo"
    again = run(filmgate, "--uploads", moved)
    assert digests(job_folder(filmgate, again)) == first


def test_bad_books_are_refused_by_name_and_the_good_ones_are_processed(
    filmgate: Filmgate, uploads: Path
) -> None:
    (uploads / "empty.pdf").write_bytes(b"")
    (uploads / "garbage.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    (uploads / "notes.docx").write_bytes(b"PK")
    books.scan(uploads / "scan.pdf")
    manifest = run(filmgate, "--uploads", uploads, code=4)
    assert states(manifest) == dict.fromkeys("ABCDEF", "SUCCESS")
    errors = {error["item"]: error["message"] for error in manifest["passes"]["A"]["item_errors"]}
    assert set(errors) == {"empty.pdf", "garbage.pdf", "notes.docx", "scan.pdf"}
    assert "--ocr" in errors["scan.pdf"]
    folder = job_folder(filmgate, manifest)
    assert [toc["file"] for toc in document(folder, "passA_toc.json")] == ["gear.html", "rules.md"]
    log = (folder / "logs" / "A.ndjson").read_text()
    assert "garbage.pdf" in log
    assert filmgate.json("ask", "how long is a long rest")["answers"][0]["book"] == "rules.md"


@pytest.mark.proof
def test_if_every_book_is_bad_no_file_is_made(filmgate: Filmgate, uploads: Path) -> None:
    for path in uploads.iterdir():
        path.write_bytes(b"")
    manifest = run(filmgate, "--uploads", uploads, code=4)
    assert states(manifest)["A"] == "FAILED"
    assert not [n for n in ARTIFACTS if (job_folder(filmgate, manifest) / n).exists()]
    assert filmgate("ask", "anything").returncode == 5


def test_a_pass_that_only_finds_its_gate_closed_is_no_failed_ingest(
    filmgate: Filmgate, uploads: Path
) -> None:
    for path in uploads.iterdir():
        path.write_bytes(b"")
    failed = run(filmgate, "--uploads", uploads, code=4)
    folder = str(job_folder(filmgate, failed))
    done = filmgate("run", "rulebook", "--passes", "B", "--job-dir", folder, "--env", failed["env"])
    assert "was not ingested" not in done.stderr
    assert done.returncode == 4, done.stderr


@pytest.mark.proof
def test_uploads_that_are_missing_or_links_to_the_outside_are_refused(
    filmgate: Filmgate, uploads: Path, tmp_path: Path
) -> None:
    assert filmgate("run", "rulebook", "--uploads", tmp_path / "none").returncode == 5
    (tmp_path / "bare").mkdir()
    assert filmgate("run", "rulebook", "--uploads", tmp_path / "bare").returncode == 4
    (uploads / "away.md").symlink_to("/etc/hostname")
    (uploads / "folder").symlink_to(tmp_path / "bare")
    os.mkfifo(uploads / "pipe.txt")
    manifest = run(filmgate, "--uploads", uploads, code=4)
    errors = {error["item"]: error["message"] for error in manifest["passes"]["A"]["item_errors"]}
    assert set(errors) == {"away.md", "folder", "pipe.txt"}
    assert "points outside the uploads" in errors["away.md"]
    assert "away.md" not in manifest["source_sha_map"]
    assert filmgate("run", "rulebook").returncode == 2
    assert filmgate("run", "rulebook", "--uploads", uploads, "--env", "../up").returncode == 4
    assert not (filmgate.home.parent / "up").exists()


@pytest.mark.proof
def test_an_invalid_file_blocks_the_next_pass_until_it_is_restored(
    filmgate: Filmgate, uploads: Path, tmp_path: Path
) -> None:
    manifest = run(filmgate, "--uploads", uploads, "--passes", "A,B,C")
    assert states(manifest) == dict.fromkeys("ABC", "SUCCESS") | dict.fromkeys("DEF", "PENDING")
    folder = job_folder(filmgate, manifest)
    chunks = folder / "passC_chunks.json"
    original = chunks.read_bytes()
    chunks.write_text('[{"chunk_id": "x", "private_note": "leaks"}]')
    blocked = run(filmgate, "--job-dir", folder, code=3)
    assert blocked["passes"]["D"]["status"] == "BLOCKED"
    codes = {reason["code"] for reason in blocked["passes"]["D"]["blocked"]["reasons"]}
    assert codes == {"digest_mismatch", "schema_invalid"}
    chunks.write_bytes(original)
    run(filmgate, "--job-dir", folder, "--passes", "D")
    before = attempts(run(filmgate, "--job-dir", folder, "--resume-from", "E"))
    assert before == dict.fromkeys("ABCDEF", 1)
    edited = json.loads(original)
    edited[0]["metadata"]["part"] = "edited by hand"
    chunks.write_text(json.dumps(edited))
    adopted = filmgate.json("adopt", "C", str(folder))
    assert adopted["passes"]["C"]["producer"]["name"] == "human"
    after = run(filmgate, "--job-dir", folder)
    assert attempts(after) == {"A": 1, "B": 1, "C": 2, "D": 2, "E": 2, "F": 2}
    assert states(after) == dict.fromkeys("ABCDEF", "SUCCESS")


def test_passes_a_and_c_run_without_b_and_c_runs_again_after_b(
    filmgate: Filmgate, uploads: Path
) -> None:
    options = ("--job-dir", "jobs/one", "--no-ingest")
    manifest = run(filmgate, "--uploads", uploads, "--passes", "A,C", *options)
    assert manifest["job_id"] == "one"
    assert states(manifest) == dict.fromkeys("AC", "SUCCESS") | dict.fromkeys("BDEF", "PENDING")
    toc = filmgate.cwd / "jobs" / "one" / "passA_toc.json"
    original = toc.read_bytes()
    toc.write_bytes(b"[]")
    blocked = run(filmgate, *options, "--passes", "C", code=3)
    assert blocked["passes"]["C"]["status"] == "BLOCKED"
    toc.write_bytes(original)
    done = run(filmgate, *options)
    assert states(done) == dict.fromkeys("ABCDEF", "SUCCESS")
    assert attempts(done) == dict.fromkeys("ABCDEF", 1) | {"C": 2}


@pytest.mark.proof
def test_an_erratum_removes_one_chunk_and_its_orphan_nodes_from_the_corpus(
    filmgate: Filmgate, uploads: Path
) -> None:
    run(filmgate, "--uploads", uploads)
    text = (uploads / "rules.md").read_text()
    (uploads / "rules.md").write_text(
        text.replace("A long rest takes six hours", "Since the flood a long rest takes nine hours")
    )
    manifest = run(filmgate, "--uploads", uploads)
    cleanup = document(job_folder(filmgate, manifest), "passF_cleanup.json")
    (rules,) = [book for book in cleanup["books"] if book["book_id"] == "rules.md"]
    assert (rules["stale_deleted"], rules["changed"], rules["added"]) == (1, 1, 0)
    assert cleanup["stale_deleted"] == 1
    assert [stale["reason"] for stale in cleanup["stale"]] == ["changed"]
    (answer, *_) = filmgate.json("ask", "how long is a long rest")["answers"]
    assert "nine hours" in answer["text"]
    assert all(
        "six hours" not in each["text"]
        for each in filmgate.json("ask", "long rest six hours", "--limit", "50")["answers"]
    )
    (uploads / "rules.md").write_text(text.replace("### Kindle", "### Ignite"))
    manifest = run(filmgate, "--uploads", uploads)
    cleanup = document(job_folder(filmgate, manifest), "passF_cleanup.json")
    assert [name.partition(":")[2] for name in cleanup["orphans_removed"]] == ["kindle:rules.md"]
    titles = {
        each["section"][-1]
        for each in filmgate.json("ask", "kindle ignite", "--limit", "50")["answers"]
    }
    assert "Ignite" in titles
    assert "Kindle" not in titles


@pytest.mark.proof
def test_a_question_is_answered_with_page_section_span_and_licence(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    folder = tmp_path / "pdf"
    folder.mkdir()
    books.lanterns(folder / "lanterns.pdf")
    run(filmgate, "--uploads", folder)
    (answer, *_) = filmgate.json("ask", "how much damage does kindle do")["answers"]
    assert answer["book"] == "lanterns.pdf"
    assert answer["section"] == ["Spell Descriptions", "Kindle"]
    assert (answer["pdf_page"], answer["printed_page"]) == (2, "2")
    assert "2d6 points of damage" in answer["text"]
    assert answer["licence"] == "CC-BY-4.0"
    assert answer["attribution"].startswith("This work includes material from Lanterns")
    assert answer["span"][0]["bbox"]
    (row, *_) = filmgate.json("ask", "what does storm oil cost")["answers"]
    assert row["text"] == "Item Price Weight\nStorm oil 1 mark 0.5 kg"
    (hop, *_) = filmgate.json("ask", "which callings get cold flame")["answers"]
    assert [each["name"] for each in hop["related"]] == ["Lamplighter", "Sluicekeeper"]
    assert hop["how"] == "edge"
    shown = filmgate("ask", "how much damage does kindle do").stdout
    assert "page 2 of lanterns.pdf" in shown
    assert filmgate("ask", "--book", "nothing", "anything").returncode == 5
    assert filmgate("ask", "--env", "prod", "anything").returncode == 5
    assert filmgate.json("ask", "zzz xyzzy")["answers"] == []


@pytest.mark.proof
def test_large_books_are_split_and_the_parts_contain_every_page(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    import io
    import zipfile

    import pikepdf

    folder = tmp_path / "pdf"
    folder.mkdir()
    books.lanterns(folder / "lanterns.pdf")
    manifest = run(filmgate, "--uploads", folder, "--set", "B.limit_mb=0.02", "--no-ingest")
    job = job_folder(filmgate, manifest)
    ((parts),) = [book["parts"] for book in document(job, "passB_splits.json")]
    assert len(parts) > 1
    with zipfile.ZipFile(job / "passB_parts.zip") as archive:
        for part in parts:
            data = archive.read(part["path"])
            assert sha256_hex(data) == part["sha256"]
            with pikepdf.open(io.BytesIO(data)) as document_part:
                assert len(document_part.pages) == part["page_to"] - part["page_from"] + 1
    assert [p["page_offset"] for p in parts] == [p["page_from"] - 1 for p in parts]
    assert document(job, "passC_chunks.json")[0]["metadata"]["part"] == parts[0]["path"]


@pytest.mark.nightly
@pytest.mark.parametrize(("pass_", "name"), [("D", "enricher"), ("E", "graph")])
def test_haystack_and_llamaindex_make_the_same_files_as_the_passes(
    filmgate: Filmgate, uploads: Path, pass_: str, name: str
) -> None:
    native = run(filmgate, "--uploads", uploads, "--no-ingest")
    library = {"enricher": "haystack", "graph": "llamaindex"}[name]
    other = run(filmgate, "--uploads", uploads, "--no-ingest", f"--{name}", library)
    file = {"D": "passD_enriched.json", "E": "passE_graph.json"}[pass_]
    actual, expected = (job_folder(filmgate, m) / file for m in (other, native))
    assert other["passes"][pass_]["producer"]["name"] in {"haystack-ai", "llama-index-core"}
    if pass_ == "E":
        assert actual.read_bytes() == expected.read_bytes()
    else:
        ids = [[c["chunk_id"] for c in json.loads(f.read_bytes())] for f in (actual, expected)]
        assert ids[0] == ids[1]


@pytest.mark.proof
def test_each_pass_is_a_function_for_programs(filmgate: Filmgate, uploads: Path) -> None:
    script = """
import json, sys
from filmgate.ingest import pass_a, pass_b, pass_c, pass_d, pass_e, pass_f
manifest = {"uploads": sys.argv[1]}
for module in (pass_a, pass_b, pass_c, pass_d, pass_e, pass_f):
    manifest = module.run("jobs/one", "dev", manifest)
print(json.dumps({n: e.status.value for n, e in manifest.passes.items()}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(uploads)],
        env=filmgate.env,
        cwd=filmgate.cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys("ABCDEF", "SUCCESS")


def test_the_former_module_of_a_pass_works_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMGATE_HOME", str(tmp_path / "home"))
    with (
        pytest.warns(DeprecationWarning, match=r"use filmgate\.ingest\.pass_b\.run"),
        pytest.raises(NotFound, match="does not exist"),
    ):
        pass_b.run(tmp_path / "job", "dev", {"uploads": str(tmp_path / "none")})


@pytest.mark.nightly
def test_a_book_on_which_a_pass_fails_stays_unchanged_in_the_corpus(
    filmgate: Filmgate, uploads: Path
) -> None:
    run(filmgate, "--uploads", uploads)
    (uploads / "rules.md").write_text("# Rules\n\nNow a long rest takes a year.\n")
    options = ("--uploads", uploads, "--parser", "unstructured")
    if find_spec("unstructured") is None:
        assert states(run(filmgate, *options, code=1))["C"] == "FAILED"
    (answer, *_) = filmgate.json("ask", "how long is a long rest")["answers"]
    assert "six hours" in answer["text"]


@pytest.mark.nightly
def test_an_older_job_does_not_replace_a_newer_printing(filmgate: Filmgate, uploads: Path) -> None:
    old = run(filmgate, "--uploads", uploads, "--no-ingest")
    text = (uploads / "rules.md").read_text()
    (uploads / "rules.md").write_text(text.replace("six hours", "nine hours"))
    run(filmgate, "--uploads", uploads)
    receipt = filmgate.json("ingest", job_folder(filmgate, old))
    assert receipt["counts"]["corpus.books kept, which a later job brought"] == 2
    (answer, *_) = filmgate.json("ask", "how long is a long rest")["answers"]
    assert "nine hours" in answer["text"]


@pytest.mark.proof
def test_printings_are_compared_with_the_one_in_the_corpus(
    filmgate: Filmgate, uploads: Path
) -> None:
    text = (uploads / "rules.md").read_text()
    editions = []
    for hours in ("six", "nine", "six", "ten"):
        (uploads / "rules.md").write_text(text.replace("six hours", f"{hours} hours"))
        manifest = run(filmgate, "--uploads", uploads / "rules.md")
        book = document(job_folder(filmgate, manifest), "passF_cleanup.json")["books"][0]
        editions.append((book["edition"], book["before"]))
        removed = filmgate.json("receipts", manifest["job_id"])["receipts"][0]["counts"]
        assert removed["corpus.chunks removed"] == book["stale_deleted"]
        assert removed["corpus.nodes removed"] == book["orphans_removed"]
    six, nine, again, ten = editions
    assert (nine[1], again[1], ten[1]) == (six[0], nine[0], six[0])
    assert again[0] == six[0]


@pytest.mark.nightly
def test_a_job_id_is_used_once_and_stays_in_its_environment(
    filmgate: Filmgate, uploads: Path
) -> None:
    run(filmgate, "--uploads", uploads, "--run-id", "one", "--no-ingest")
    command = ("run", "rulebook", "--uploads", uploads, "--no-ingest")
    assert filmgate(*command, "--run-id", "one", "--env", "prod").returncode == 6
    folder = filmgate.home / "artifacts" / "ingest" / "dev" / "one"
    other = filmgate("run", "rulebook", "--env", "prod", "--job-dir", folder)
    assert other.returncode == 4
    assert "another environment" in other.stderr
    assert filmgate("run", "rulebook", "--run-id", "one", "--no-ingest").returncode == 0


@pytest.mark.proof
def test_a_book_is_queried_by_its_file_name_or_title_and_can_be_removed(
    filmgate: Filmgate, uploads: Path
) -> None:
    run(filmgate, "--uploads", uploads)
    for name in ("rules.md", "rules", "gatecheck, the game"):
        found = filmgate.json("ask", "--book", name, "long rest")
        assert {each["book"] for each in found["answers"]} == {"rules.md"}
    assert filmgate("db", "remove-book", "rules.md").returncode == 0
    assert filmgate("ask", "--book", "rules.md", "long rest").returncode == 5
    listed = filmgate.json("ask")["books"]
    assert [each["book"] for each in listed] == ["gear.html"]
    assert filmgate("db", "rebuild-projections").returncode == 0
    (row, *_) = filmgate.json("ask", "price of storm oil")["answers"]
    assert row["text"] == "Item Price\nStorm oil 1"


GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("book", ["rules.md", "gear.html"])
def test_small_books_make_the_recorded_files(filmgate: Filmgate, uploads: Path, book: str) -> None:
    """`FILMGATE_GOLDEN=write` records the current files; review the diff before you commit."""
    manifest = run(filmgate, "--uploads", uploads / book, "--no-ingest")
    result = {
        name: {
            "status": entry["status"],
            "counts": entry["counts"],
            "artifacts": {
                ref["path"]: [ref["schema"], ref["records"], ref["sha256"]]
                for ref in entry["artifacts"]
                if ref["path"] != "passA_toc.json"  # contains the versions of readers
            },
        }
        for name, entry in manifest["passes"].items()
    }
    golden = GOLDEN / f"{book}.json"
    if os.environ.get("FILMGATE_GOLDEN") == "write":
        golden.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    assert json.loads(golden.read_text()) == result


@pytest.mark.proof
@pytest.mark.skipif(find_spec("unstructured") is not None, reason="it is installed")
def test_a_missing_package_is_named(filmgate: Filmgate, uploads: Path) -> None:
    options = ("--uploads", uploads, "--parser", "unstructured", "--no-ingest")
    manifest = run(filmgate, *options, code=1)
    assert states(manifest)["C"] == "FAILED"
    assert "unstructured[" in str(manifest["passes"]["C"]["item_errors"])
