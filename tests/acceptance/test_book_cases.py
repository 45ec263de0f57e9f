"""Small books that public bug reports led to, and how each is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.command import Filmgate


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home")


def read(filmgate: Filmgate, uploads: Path) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """The text of all chunks, the accounts, and the manifest."""
    manifest = filmgate.json(
        "run", "rulebook", "--uploads", uploads, "--passes", "A,C", "--no-ingest"
    )
    folder = filmgate.home / "artifacts" / "ingest" / "dev" / str(manifest["job_id"])
    chunks = json.loads((folder / "passC_chunks.json").read_text())
    accounts = json.loads((folder / "passC_coverage.json").read_text())
    return "\n".join(chunk["text"] for chunk in chunks), accounts, manifest


def test_markdown_that_opens_with_a_rule_keeps_all_its_text(
    filmgate: Filmgate, test_data: Path
) -> None:
    text, accounts, _ = read(filmgate, test_data / "cases" / "books" / "md_rule_first")
    for word in ("Dagonex", "ruby", "New monsters", "basilisk", "krakenfall", "porphyry"):
        assert word in text
    assert "zorblax" in text
    assert all(each["skipped"] == [] for each in accounts)


def test_rules_that_differ_in_their_digits_are_no_page_headers(
    filmgate: Filmgate, test_data: Path
) -> None:
    text, accounts, _ = read(filmgate, test_data / "cases" / "books" / "furniture_eats_rules")
    assert "Armor Class 14, Hit Points 11" in text
    assert "Range 120 feet, Duration 4 rounds" in text
    assert "5th-level evocation" in text
    assert "Challenge 7 (700 XP)" in text
    assert text.count("Gem of kind 40 400 gp") >= 1
    assert all(each["skipped"] == [] for each in accounts)


@pytest.mark.proof
def test_page_headers_that_are_left_out_are_listed_with_their_count(
    filmgate: Filmgate, test_data: Path
) -> None:
    _, (account,), manifest = read(filmgate, test_data / "rulebook" / "SRD5.1-CCBY4.0License.pdf")
    listed = "'System Reference Document 5.1 #' on 403 pages"
    (warning,) = manifest["passes"]["A"]["warnings"]
    assert (warning["code"], listed in warning["message"]) == ("page_headers", True)
    assert listed in " ".join(filmgate("status", manifest["asset"]["id"]).stdout.split())
    assert len(account["skipped"]) == 403
