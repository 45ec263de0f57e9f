"""Regression tests: small books from public bug reports."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.command import Filmgate


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home")


def read(filmgate: Filmgate, uploads: Path) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """Return the text of all chunks, the coverage of each book, and the manifest."""
    manifest = filmgate.json(
        "run", "rulebook", "--uploads", uploads, "--passes", "A,C", "--no-ingest"
    )
    folder = filmgate.home / "artifacts" / "ingest" / "dev" / str(manifest["job_id"])
    chunks = json.loads((folder / "passC_chunks.json").read_text())
    coverages = json.loads((folder / "passC_coverage.json").read_text())
    return "\n".join(chunk["text"] for chunk in chunks), coverages, manifest


def test_markdown_that_opens_with_a_rule_keeps_all_its_text(
    filmgate: Filmgate, test_data: Path
) -> None:
    text, coverages, _ = read(filmgate, test_data / "cases" / "books" / "md_rule_first")
    for word in ("Dagonex", "ruby", "New monsters", "basilisk", "krakenfall", "porphyry"):
        assert word in text
    assert "zorblax" in text
    assert all(coverage["skipped"] == [] for coverage in coverages)


def test_rules_that_differ_in_their_digits_are_not_page_headers(
    filmgate: Filmgate, test_data: Path
) -> None:
    text, coverages, _ = read(filmgate, test_data / "cases" / "books" / "furniture_eats_rules")
    assert "Armor Class 14, Hit Points 11" in text
    assert "Range 120 feet, Duration 4 rounds" in text
    assert "5th-level evocation" in text
    assert "Challenge 7 (700 XP)" in text
    assert text.count("Gem of kind 40 400 gp") >= 1
    assert all(coverage["skipped"] == [] for coverage in coverages)


@pytest.mark.proof
def test_page_headers_that_are_left_out_are_listed_with_their_count(
    filmgate: Filmgate, test_data: Path
) -> None:
    _, (coverage,), manifest = read(filmgate, test_data / "rulebook" / "SRD5.1-CCBY4.0License.pdf")
    listed = "'System Reference Document 5.1 #' on 403 pages"
    (warning,) = manifest["passes"]["A"]["warnings"]
    assert (warning["code"], listed in warning["message"]) == ("page_headers", True)
    assert listed in " ".join(filmgate("status", manifest["asset"]["id"]).stdout.split())
    assert len(coverage["skipped"]) == 403
