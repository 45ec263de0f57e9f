"""Rulebooks: what is found of what is known, and how long it takes beside bare text extraction.

    python benchmarks/rulebook.py [--peers] [--write]

The System Reference Document 5.1 where FILMGATE_TEST_DATA has it, else the sample book, of which no
truth is known but its outline. Times are CPU seconds of the process and its children, each side
in turn and the best of three; the limit is pypdfium2's plain text of the same pages. `--peers`
installs other extractors into `.peers/books`, and runs them on the same file.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

from filmgate.app import logs
from filmgate.app.rulebooks import Rulebooks
from filmgate.app.run_options import RunOptions
from filmgate.app.settings import Settings
from filmgate.app.system import System
from filmgate.engine.journal import Unwatched
from filmgate.pipelines.rulebook.rules.text import cleaned, key
from filmgate.tools.demo_book import compose
from written import write_section

ROUNDS = 3
ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".peers" / "books"
SRD = "SRD5.1-CCBY4.0License.pdf"
BARE = """
import sys, pypdfium2
document = pypdfium2.PdfDocument(sys.argv[1])
print(sum(len(document[n].get_textpage().get_text_range()) for n in range(len(document))))
"""
SIDES = {
    "pypdfium2, plain text": ("pypdfium2", BARE),
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
SAID: list[str] = []


def say(line: str = "") -> None:
    """On the screen now, on the page later."""
    print(line, flush=True)
    SAID.append(line)


def cpu_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds that work takes here and in its children, and what it gives."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    value = work()
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    spent = [
        b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime
        for a, b in zip(before, after, strict=True)
    ]
    return sum(spent), value


def child(code: str, *arguments: str, python: str = sys.executable) -> tuple[float, int, str]:
    """CPU seconds of a program, its memory in MiB at most, and what it said."""
    told = (
        "import resource, sys; exec(compile(sys.argv.pop(1), 'side', 'exec')); "
        "u = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]; "
        "print(sum(x.ru_utime + x.ru_stime for x in u), max(x.ru_maxrss for x in u))"
    )
    quiet = {**os.environ, "DO_NOT_TRACK": "true", "SCARF_NO_ANALYTICS": "true"}
    ended = subprocess.run(
        [python, "-c", told, code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=quiet,
    )
    if ended.returncode:
        raise RuntimeError((ended.stderr.strip().splitlines() or ["it failed"])[-1])
    *said, last = ended.stdout.strip().splitlines()
    seconds, kilobytes = last.split()
    return float(seconds), int(kilobytes) >> 10, said[-1] if said else ""


JOB = """
import sys
from pathlib import Path
from filmgate.app.run_options import RunOptions
from filmgate.app.settings import Settings
from filmgate.app.system import System
from filmgate.engine.journal import Unwatched
from filmgate.app import logs
logs.configure("WARNING")
home, uploads, passes = sys.argv[1:4]
options = RunOptions(new=True, ingest=False, stages=tuple(passes.split(",")))
report = System(Settings(home=Path(home))).run(
    "rulebook", Path(uploads), options, Unwatched(), lambda done, total: None)
print(report.folder)
"""
START = "import filmgate.app.system, filmgate.pipelines.rulebook.pipeline"


def speed(uploads: Path, book: Path, home: Path) -> Path:
    """The passes beside plain text extraction; the folder of a job that ran all of them."""
    sides: dict[str, list[float]] = {"bare": [], "A+C": [], "A-F": [], "start": []}
    memory, folder = 0, ""
    for _ in range(ROUNDS):
        sides["bare"].append(child(BARE, str(book))[0])
        sides["start"].append(child(START)[0])
        sides["A+C"].append(child(JOB, str(home), str(uploads), "A,C")[0])
        spent, most, folder = child(JOB, str(home), str(uploads), "A,B,C,D,E,F")
        sides["A-F"].append(spent)
        memory = max(memory, most)
    best = {name: min(times) for name, times in sides.items()}
    say("CPU seconds, best of three")
    say(f"  pypdfium2, plain text             {best['bare']:8.2f}")
    for name, wanted in (("A+C", 0.35), ("A-F", 0.15)):
        ratio = best["bare"] / (best[name] - best["start"])
        say(
            f"  passes {name:27}{best[name] - best['start']:8.2f}  ({ratio:.2f} of plain text's "
            f"speed, {wanted} wanted)"
        )
    say(f"  starting the program              {best['start']:8.2f}  (not counted above)")
    say(f"memory, the most of any process     {memory:8} MiB  (300 wanted)")
    return Path(folder)


def document(folder: Path, name: str) -> Any:
    """A file of a job."""
    return json.loads((folder / name).read_bytes())


def titles(folder: Path) -> Counter[tuple[str, int]]:
    """Titles as they are compared, with their pages; prefixes that are not printed left out."""
    (toc,) = document(folder, "passA_toc.json")
    bare = [
        (re.sub(r"^(table|sidebar): ", "", s["title"], flags=re.I), s["page_start"])
        for s in toc["sections"]
    ]
    return Counter((key(title), page) for title, page in bare)


def contents(job: Path, book: Path, home: Path) -> None:
    """Sections against the outline, and headings found where it was taken away."""
    import pikepdf
    import pypdfium2

    outline = Counter(
        (entry.get_title(), entry.get_dest().get_index() + 1)
        for entry in pypdfium2.PdfDocument(book).get_toc(max_depth=30)
    )
    (toc,) = document(job, "passA_toc.json")
    found = Counter((s["title"], s["page_start"]) for s in toc["sections"])
    due = Counter({(cleaned(title), page): count for (title, page), count in outline.items()})
    hit = sum((found & due).values())
    precision, recall = hit / max(sum(found.values()), 1), hit / sum(due.values())
    say(f"outline: precision {precision:.3f}, recall {recall:.3f}")
    astray = [s for s in toc["sections"] if s["place"] is None]
    other = [s for s in toc["sections"] if s["printed"]]
    say(f"  not on their pages {len(astray)}, printed otherwise {len(other)}")
    placed = [s["place"] for s in toc["sections"] if s["place"]]
    order = [(p["page"], p["line"]) for p in placed]
    kept = sum(a <= b for a, b in pairwise(order)) / max(len(order) - 1, 1)
    say(f"order: {kept:.3f} of neighbouring titles stand in the outline's (0.97 wanted)")
    with tempfile.TemporaryDirectory() as folder, pikepdf.open(book) as source:
        uploads = Path(folder) / "stripped"
        uploads.mkdir()
        del source.Root.Outlines
        source.save(uploads / book.name)
        stripped = titles(run(home, uploads, "A"))
    truth = titles(job)
    hit = sum((stripped & truth).values())
    score = 2 * hit / (sum(stripped.values()) + sum(truth.values()))
    say(f"headings without the outline: F1 {score:.3f} (0.80 wanted)")


def run(home: Path, uploads: Path, passes: str = "A,B,C,D,E,F") -> Path:
    """The folder of a job."""
    options = RunOptions(new=True, ingest=False, stages=tuple(passes.split(",")))
    system = System(Settings(home=home))
    return system.run("rulebook", uploads, options, Unwatched(), lambda _d, _t: None).folder


def coverage(job: Path) -> None:
    """That nothing was lost, and that text is clean."""
    (account,) = document(job, "passC_coverage.json")
    kept = account["in_chunks"] / (account["characters"] - account["in_skipped"])
    chunks = document(job, "passC_chunks.json")
    places: Counter[tuple[int, int]] = Counter()
    for each in chunks:
        if each["kind"] != "row":
            for s in each["spans"]:
                places.update((s["page"], n) for n in range(s["char_start"], s["char_end"]))
    twice = sum(count > 1 for count in places.values())
    odd = sum(bool(re.search("[\u00ad\u2010\u2011\ufffe\t]", each["text"])) for each in chunks)
    say(f"coverage: {kept:.4f} of characters in a chunk (0.999 wanted), {twice} in two")
    say(f"  chunks with hyphens or tabs of typesetters: {odd}")


def same_bytes(uploads: Path, book: Path, home: Path) -> None:
    """Two runs, in two folders, under two hash seeds."""
    prints = []
    for seed in ("1", "2"):
        with tempfile.TemporaryDirectory() as folder:
            moved = Path(folder) / uploads.name
            moved.mkdir()
            (moved / book.name).write_bytes(book.read_bytes())
            ended = subprocess.run(
                [sys.executable, "-c", JOB, str(home), str(moved), "A,B,C,D,E,F"],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            )
            made = sorted(Path(ended.stdout.strip().splitlines()[-1]).glob("pass*"))
            prints.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in made])
    is_same = bool(prints[0]) and prints[0] == prints[1]
    say(f"the same bytes twice: {'yes' if is_same else 'NO'}, {len(prints[0])} files")


def pairs(job: Path) -> set[tuple[str, str]]:
    """(class, spell) as the lists on pages 105 to 113 have them, read by their letters."""
    found: list[tuple[str, str]] = []
    owner = ""
    for text in (job / "passA_pages.jsonl").read_text().splitlines():
        page = json.loads(text)
        if not 105 <= page["page"] <= 113:
            continue
        for _, raw, _, size, font, role, _ in page["lines"]:
            line = cleaned(raw)
            if role == "furniture":
                continue
            if size > 13 and line.endswith(" Spells"):
                owner = line.removesuffix(" Spells").lower()
            elif size < 10 and owner and "Cambria" in font:
                if len(line) == 1:
                    found[-1] = (owner, found[-1][1] + line)
                else:
                    found.append((owner, key(line)))
    return set(found)


def edges(job: Path) -> None:
    """Cross references against the lists themselves."""
    graph = document(job, "passE_graph.json")
    nodes = {each["node_id"]: each for each in graph["nodes"]}
    made = {
        (nodes[e["src"]]["name"].lower(), key(nodes[e["dst"]]["name"]))
        for e in graph["edges"]
        if e["type"] == "lists"
        and (nodes[e["src"]]["kind"], nodes[e["dst"]]["kind"]) == ("class", "spell")
    }
    truth = pairs(job)
    precision = len(made & truth) / max(len(made), 1)
    say(f"class to spell: {len(made & truth)} of {len(truth)} edges, precision {precision:.3f}")
    known = all(e["rule"] and e["chunk_ids"] and e["page"] for e in graph["edges"])
    told = "all" if known else "NOT all"
    say(f"  edges with rule, chunk and page: {told} of {len(graph['edges']):,}")
    say(f"  unresolved: {len(graph['unresolved'])}")


def retrieval(home: Path, uploads: Path, questions: Path) -> None:
    """The share of questions whose page is the first answer, or among five."""
    asked = json.loads(questions.read_text())
    settings = Settings(home=home)
    for name, is_modelled in (("without a model", False), ("with MiniLM", True)):
        overrides = ("D.embeddings=true",) if is_modelled else ()
        System(settings).run(
            "rulebook",
            uploads,
            RunOptions(new=True, settings=overrides),
            Unwatched(),
            lambda _d, _t: None,
        )
        rulebooks = Rulebooks(settings)
        first = five = 0
        with rulebooks.lasting():
            for each in asked:
                answer = rulebooks.ask(
                    each["question"], env=None, book=None, limit=5, vectors=is_modelled
                )
                pages = [one.pdf_page for one in answer.answers]
                first += pages[0] in each["pages"]
                five += any(page in each["pages"] for page in pages)
        total = len(asked)
        say(f"{total} questions {name}: R@1 {first / total:.2f}, R@5 {five / total:.2f}")


def peers(book: Path, *, install: bool) -> None:
    """Other extractors on the same file, in this run."""
    python = PEERS / "bin" / "python"
    if install and not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    say("other extractors, CPU seconds and memory, once")
    bare = None
    for name, (package, code) in SIDES.items():
        if install:
            wanted = f"{package}[pdf]" if package == "unstructured" else package
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", wanted],
                check=False,
                capture_output=True,
            )
        own = str(python) if python.exists() else sys.executable
        try:
            asked = f"from importlib.metadata import version; print(version({package!r}))"
            version = subprocess.run(
                [own, "-c", asked], capture_output=True, text=True, check=True
            ).stdout.strip()
            seconds, memory, said = child(code, str(book), python=own)
        except (subprocess.CalledProcessError, RuntimeError) as error:
            why = (
                str(error) if isinstance(error, RuntimeError) else "not installed: make bench-peers"
            )
            say(f"  {name:26} {why[:80]}")
            continue
        bare = bare or seconds
        told = f"{seconds:8.2f} s  ({bare / seconds:.3f})  {memory:6} MiB"
        say(f"  {name:22} {version:10} {told}  {int(said):,} characters")


def main() -> None:
    """Measure, and write the page where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true", help="install other extractors")
    parser.add_argument("--write", action="store_true", help="write the section of the page")
    asked = parser.parse_args()
    logs.configure("WARNING")
    data = Path(os.environ.get("FILMGATE_TEST_DATA", ROOT.parent / "shared" / "data")) / "rulebook"
    with tempfile.TemporaryDirectory() as folder:
        uploads, home = Path(folder) / "uploads", Path(folder) / "home"
        uploads.mkdir()
        is_known = (data / SRD).exists()
        book = uploads / (SRD if is_known else "lanterns.pdf")
        if is_known:
            book.write_bytes((data / SRD).read_bytes())
        else:
            compose(book)
        size = book.stat().st_size / 1e6
        say(f"{book.name}, {size:.1f} MB, pypdfium2 {metadata.version('pypdfium2')}")
        job = speed(uploads, book, home)
        contents(job, book, home)
        coverage(job)
        same_bytes(uploads, book, home)
        if is_known:
            edges(job)
            retrieval(home, uploads, data / "srd51_questions.json")
        peers(book, install=asked.peers)
    if asked.write:
        write_section("rulebook", section())


def section() -> str:
    """What goes onto the page."""
    where = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    text = "\n".join(SAID)
    return f"""# Rulebooks

*Written by `python benchmarks/rulebook.py --peers --write`.* {datetime.now(UTC):%Y-%m-%d}, {where}.
The limit is pypdfium2's plain text of the same pages; the passes give, besides, the place and font
of every line, sections, chunks, terms and the graph, and hold all of it against its contracts.

```text
{text}
```"""


if __name__ == "__main__":
    main()
