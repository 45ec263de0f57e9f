"""Rulebooks: the accuracy of the passes, and their speed compared with bare text extraction.

    python benchmarks/rulebook.py [--peers] [--write]

The book is the System Reference Document 5.1 if FILMGATE_TEST_DATA has it, else the sample book,
for which only the outline is known. Times are CPU seconds of the process and its children, the best
of three alternating rounds; the limit is pypdfium2's plain text of the same pages. `--peers`
installs other extractors into `.peers/books`, and runs them on the same file.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

from filmgate.core.progress import NullObserver
from filmgate.pipelines.rulebook.queries import ASK, AskParameters
from filmgate.pipelines.rulebook.rules.text import clean_text, match_key
from filmgate.services.query_context import DatabaseQueries
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs
from filmgate.tools.sample_book import typeset_book
from filmgate.wiring import logs
from filmgate.wiring.settings import Settings
from page_sections import log, logged_text, write_section

ROUNDS = 3
ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".peers" / "books"
SRD = "SRD5.1-CCBY4.0License.pdf"
PLAIN_TEXT = """
import sys, pypdfium2
document = pypdfium2.PdfDocument(sys.argv[1])
print(sum(len(document[n].get_textpage().get_text_range()) for n in range(len(document))))
"""
EXTRACTORS = {
    "pypdfium2, plain text": ("pypdfium2", PLAIN_TEXT),
    "pypdf": (
        "pypdf",
        "import sys, pypdf\n"
        "print(sum(len(p.extract_text()) for p in pypdf.PdfReader(sys.argv[1]).pages))",
    ),
    "pdfminer.six": (
        "pdfminer.six",
        "import sys\nfrom pdfminer.high_level import extract_text\n"
        "print(len(extract_text(sys.argv[1])))",
    ),
    "kreuzberg": (
        "kreuzberg",
        "import sys, kreuzberg\nprint(len(kreuzberg.extract_file_sync(sys.argv[1]).content))",
    ),
    "unstructured, fast": (
        "unstructured",
        "import sys\nfrom unstructured.partition.pdf import partition_pdf\n"
        "print(sum(len(e.text) for e in partition_pdf(sys.argv[1], strategy='fast')))",
    ),
    "OpenDataLoader": (
        "opendataloader-pdf",
        "import sys, tempfile, opendataloader_pdf, pathlib\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    opendataloader_pdf.run(input_path=sys.argv[1], output_folder=folder,\n"
        "                           generate_markdown=True)\n"
        "    print(sum(p.stat().st_size for p in pathlib.Path(folder).rglob('*.md')))",
    ),
}


def run_python(code: str, *arguments: str, python: str = sys.executable) -> tuple[float, int, str]:
    """Run code in a new interpreter; return (CPU seconds, peak memory in MiB, last line printed).

    Raises RuntimeError with the last line of stderr if it fails.
    """
    wrapper = (
        "import resource, sys; exec(compile(sys.argv.pop(1), 'side', 'exec')); "
        "u = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]; "
        "print(sum(x.ru_utime + x.ru_stime for x in u), max(x.ru_maxrss for x in u))"
    )
    environment = {**os.environ, "DO_NOT_TRACK": "true", "SCARF_NO_ANALYTICS": "true"}
    done = subprocess.run(
        [python, "-c", wrapper, code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed without output"])[-1])
    *printed, usage = done.stdout.strip().splitlines()
    seconds, kilobytes = usage.split()
    return float(seconds), int(kilobytes) >> 10, printed[-1] if printed else ""


JOB = """
import sys
from pathlib import Path
from filmgate.services.run_options import RunOptions
from filmgate.wiring.settings import Settings
from filmgate.services.runs import Runs
from filmgate.core.progress import NullObserver
from filmgate.wiring import logs
logs.configure("WARNING")
home, uploads, passes = sys.argv[1:4]
options = RunOptions(new=True, ingest=False, stages=tuple(passes.split(",")))
report = Runs(Settings(home=Path(home))).run(
    "rulebook", Path(uploads), options, NullObserver(), lambda done, total: None)
print(report.folder)
"""
START = "import filmgate.services.runs, filmgate.pipelines.rulebook.pipeline"


def measure_speed(uploads: Path, book: Path, home: Path) -> Path:
    """Compare the passes with plain text extraction; return the folder of a job with all passes."""
    seconds: dict[str, list[float]] = {"text": [], "A+C": [], "A-F": [], "start": []}
    peak_memory, folder = 0, ""
    for _ in range(ROUNDS):
        seconds["text"].append(run_python(PLAIN_TEXT, str(book))[0])
        seconds["start"].append(run_python(START)[0])
        seconds["A+C"].append(run_python(JOB, str(home), str(uploads), "A,C")[0])
        cpu, memory, folder = run_python(JOB, str(home), str(uploads), "A,B,C,D,E,F")
        seconds["A-F"].append(cpu)
        peak_memory = max(peak_memory, memory)
    best = {name: min(times) for name, times in seconds.items()}
    log("CPU seconds, best of three")
    log(f"  pypdfium2, plain text             {best['text']:8.2f}")
    for name, target in (("A+C", 0.35), ("A-F", 0.15)):
        ratio = best["text"] / (best[name] - best["start"])
        log(
            f"  passes {name:27}{best[name] - best['start']:8.2f}  ({ratio:.2f} of plain text's "
            f"speed, target {target})"
        )
    log(f"  starting the program              {best['start']:8.2f}  (not counted above)")
    log(f"peak memory of any process          {peak_memory:8} MiB  (target 300)")
    return Path(folder)


def read_document(folder: Path, name: str) -> Any:
    """Read a JSON file of a job."""
    return json.loads((folder / name).read_bytes())


def count_titles(folder: Path) -> Counter[tuple[str, int]]:
    """Count (normalised title, page) of the sections, without prefixes that are not printed."""
    (toc,) = read_document(folder, "passA_toc.json")
    titles = [
        (re.sub(r"^(table|sidebar): ", "", s["title"], flags=re.I), s["page_start"])
        for s in toc["sections"]
    ]
    return Counter((match_key(title), page) for title, page in titles)


def measure_contents(job: Path, book: Path, home: Path) -> None:
    """Compare the sections with the outline, and with those found if the outline is removed."""
    import pikepdf
    import pypdfium2

    outline = Counter(
        (entry.get_title(), entry.get_dest().get_index() + 1)
        for entry in pypdfium2.PdfDocument(book).get_toc(max_depth=30)
    )
    (toc,) = read_document(job, "passA_toc.json")
    found = Counter((s["title"], s["page_start"]) for s in toc["sections"])
    expected = Counter(
        {(clean_text(title), page): count for (title, page), count in outline.items()}
    )
    hits = sum((found & expected).values())
    precision, recall = hits / max(sum(found.values()), 1), hits / sum(expected.values())
    log(f"outline: precision {precision:.3f}, recall {recall:.3f}")
    not_found = [s for s in toc["sections"] if s["place"] is None]
    differing = [s for s in toc["sections"] if s["printed"]]
    log(f"  not on their pages {len(not_found)}, printed differently {len(differing)}")
    places = [s["place"] for s in toc["sections"] if s["place"]]
    positions = [(place["page"], place["line"]) for place in places]
    ordered = sum(a <= b for a, b in pairwise(positions)) / max(len(positions) - 1, 1)
    log(f"order: {ordered:.3f} of neighbouring titles are in the outline's order (target 0.97)")
    with tempfile.TemporaryDirectory() as folder, pikepdf.open(book) as source:
        uploads = Path(folder) / "stripped"
        uploads.mkdir()
        del source.Root.Outlines
        source.save(uploads / book.name)
        stripped = count_titles(run_job(home, uploads, "A"))
    truth = count_titles(job)
    hits = sum((stripped & truth).values())
    score = 2 * hits / (sum(stripped.values()) + sum(truth.values()))
    log(f"headings without the outline: F1 {score:.3f} (target 0.80)")


def run_job(home: Path, uploads: Path, passes: str = "A,B,C,D,E,F") -> Path:
    """Run passes as a new job; return its folder."""
    options = RunOptions(new=True, ingest=False, stages=tuple(passes.split(",")))
    runs = Runs(Settings(home=home))
    return runs.run("rulebook", uploads, options, NullObserver(), lambda _d, _t: None).folder


def measure_coverage(job: Path) -> None:
    """Measure how much text is in chunks, how much of it twice, and whether it is clean."""
    (account,) = read_document(job, "passC_coverage.json")
    covered = account["in_chunks"] / (account["characters"] - account["in_skipped"])
    chunks = read_document(job, "passC_chunks.json")
    characters: Counter[tuple[int, int]] = Counter()
    for chunk in chunks:
        if chunk["kind"] != "row":
            for s in chunk["spans"]:
                characters.update((s["page"], n) for n in range(s["char_start"], s["char_end"]))
    twice = sum(count > 1 for count in characters.values())
    unclean = sum(bool(re.search("[\u00ad\u2010\u2011\ufffe\t]", c["text"])) for c in chunks)
    log(f"coverage: {covered:.4f} of characters in a chunk (target 0.999), {twice} in two")
    log(f"  chunks with hyphens or tabs of typesetters: {unclean}")


def check_reproducibility(uploads: Path, book: Path, home: Path) -> None:
    """Compare the files of two runs in different folders with different hash seeds."""
    digests = []
    for seed in ("1", "2"):
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(folder) / uploads.name
            copied.mkdir()
            (copied / book.name).write_bytes(book.read_bytes())
            done = subprocess.run(
                [sys.executable, "-c", JOB, str(home), str(copied), "A,B,C,D,E,F"],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            )
            files = sorted(Path(done.stdout.strip().splitlines()[-1]).glob("pass*"))
            digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    is_same = bool(digests[0]) and digests[0] == digests[1]
    log(f"the same bytes twice: {'yes' if is_same else 'NO'}, {len(digests[0])} files")


def listed_spells(job: Path) -> set[tuple[str, str]]:
    """Read the (class, spell) pairs of the spell lists on pages 105 to 113, by font and size."""
    found: list[tuple[str, str]] = []
    owner = ""
    for page_line in (job / "passA_pages.jsonl").read_text().splitlines():
        page = json.loads(page_line)
        if not 105 <= page["page"] <= 113:
            continue
        for _, raw, _, size, font, role, _ in page["lines"]:
            line = clean_text(raw)
            if role == "furniture":
                continue
            if size > 13 and line.endswith(" Spells"):
                owner = line.removesuffix(" Spells").lower()
            elif size < 10 and owner and "Cambria" in font:
                if len(line) == 1:
                    found[-1] = (owner, found[-1][1] + line)
                else:
                    found.append((owner, match_key(line)))
    return set(found)


def measure_edges(job: Path) -> None:
    """Compare the edges from classes to spells with the spell lists."""
    graph = read_document(job, "passE_graph.json")
    nodes = {node["node_id"]: node for node in graph["nodes"]}
    found = {
        (nodes[e["src"]]["name"].lower(), match_key(nodes[e["dst"]]["name"]))
        for e in graph["edges"]
        if e["type"] == "lists"
        and (nodes[e["src"]]["kind"], nodes[e["dst"]]["kind"]) == ("class", "spell")
    }
    truth = listed_spells(job)
    precision = len(found & truth) / max(len(found), 1)
    log(f"class to spell: {len(found & truth)} of {len(truth)} edges, precision {precision:.3f}")
    is_complete = all(e["rule"] and e["chunk_ids"] and e["page"] for e in graph["edges"])
    share = "all" if is_complete else "NOT all"
    log(f"  edges with rule, chunk and page: {share} of {len(graph['edges']):,}")
    log(f"  unresolved: {len(graph['unresolved'])}")


def measure_retrieval(home: Path, uploads: Path, questions_file: Path) -> None:
    """Measure the share of questions whose page is the first answer, or among the first five."""
    questions = json.loads(questions_file.read_text())
    settings = Settings(home=home)
    for name, has_model in (("without a model", False), ("with MiniLM", True)):
        overrides = {"D.embeddings": True} if has_model else {}
        Runs(settings).run(
            "rulebook",
            uploads,
            RunOptions(new=True, settings=overrides),
            NullObserver(),
            lambda _d, _t: None,
        )
        queries = DatabaseQueries(settings)
        first = five = 0
        with queries.keep_running():
            for question in questions:
                asked = AskParameters(q=question["question"], limit=5, vectors=has_model)
                answer = queries.ask(ASK, asked)
                pages = [answer_chunk.pdf_page for answer_chunk in answer.answers]
                first += pages[0] in question["pages"]
                five += any(page in question["pages"] for page in pages)
        total = len(questions)
        log(f"{total} questions {name}: R@1 {first / total:.2f}, R@5 {five / total:.2f}")


def measure_extractors(book: Path, *, install: bool) -> None:
    """Run other extractors on the same file."""
    peers_python = PEERS / "bin" / "python"
    if install and not peers_python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    log("other extractors, CPU seconds and memory, once")
    plain_seconds = None
    for name, (package, code) in EXTRACTORS.items():
        if install:
            requirement = f"{package}[pdf]" if package == "unstructured" else package
            subprocess.run(
                [str(peers_python), "-m", "pip", "install", "--quiet", requirement],
                check=False,
                capture_output=True,
            )
        python = str(peers_python) if peers_python.exists() else sys.executable
        try:
            version_code = f"from importlib.metadata import version; print(version({package!r}))"
            version = subprocess.run(
                [python, "-c", version_code], capture_output=True, text=True, check=True
            ).stdout.strip()
            seconds, memory, printed = run_python(code, str(book), python=python)
        except (subprocess.CalledProcessError, RuntimeError) as error:
            reason = (
                str(error) if isinstance(error, RuntimeError) else "not installed: make bench-peers"
            )
            log(f"  {name:26} {reason[:80]}")
            continue
        plain_seconds = plain_seconds or seconds
        figures = f"{seconds:8.2f} s  ({plain_seconds / seconds:.3f})  {memory:6} MiB"
        log(f"  {name:22} {version:10} {figures}  {int(printed):,} characters")


def main() -> None:
    """Measure everything, and write the section of the page if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true", help="install other extractors")
    parser.add_argument("--write", action="store_true", help="write docs/explanation/benchmarks.md")
    options = parser.parse_args()
    logs.configure("WARNING")
    data = Path(os.environ.get("FILMGATE_TEST_DATA", ROOT.parent / "shared" / "data")) / "rulebook"
    with tempfile.TemporaryDirectory() as folder:
        uploads, home = Path(folder) / "uploads", Path(folder) / "home"
        uploads.mkdir()
        has_srd = (data / SRD).exists()
        book = uploads / (SRD if has_srd else "lanterns.pdf")
        if has_srd:
            book.write_bytes((data / SRD).read_bytes())
        else:
            typeset_book(book)
        size = book.stat().st_size / 1e6
        log(f"{book.name}, {size:.1f} MB, pypdfium2 {metadata.version('pypdfium2')}")
        job = measure_speed(uploads, book, home)
        measure_contents(job, book, home)
        measure_coverage(job)
        check_reproducibility(uploads, book, home)
        if has_srd:
            measure_edges(job)
            measure_retrieval(home, uploads, data / "srd51_questions.json")
        measure_extractors(book, install=options.peers)
    if options.write:
        write_section("rulebook", section())


def section() -> str:
    """Return the section of the page."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# Rulebooks

*Written by `python benchmarks/rulebook.py --peers --write`.* {day}, {machine}.
The limit is pypdfium2's plain text of the same pages. The passes also find the place and font of
every line, sections, chunks, terms and the graph, and validate all of it against its contracts.

```text
{logged_text()}
```"""


if __name__ == "__main__":
    main()
