"""The sample of the rulebook pipeline: a book of rules, and questions about it."""

from collections.abc import Iterator
from pathlib import Path

from filmgate.core.pipeline import Sample, SampleRun, Step
from filmgate.core.progress import ProgressCallback
from filmgate.tools.sample_book import typeset_book

BOOK = "lanterns.pdf"
QUESTIONS = (
    "how much damage does kindle do",
    "which callings get cold flame",
    "what does storm oil cost",
)


def make_book(folder: Path, _report_progress: ProgressCallback) -> Path:
    """Return the folder of the sample book; write the book if it is missing."""
    path = folder / "books" / BOOK
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        typeset_book(draft)
        draft.replace(path)
    return path.parent


def _ask_questions(_run: SampleRun) -> Iterator[Step]:
    for question in QUESTIONS:
        yield Step(
            command=f"ask {question} --limit 1", name="ask", parameters={"q": question, "limit": 1}
        )


SAMPLE = Sample(
    what="a book of rules",
    make=make_book,
    steps=_ask_questions,
    closing=lambda _run: (("your own books", "filmgate run rulebook --uploads FOLDER"),),
)
