"""Pass C: split every book into chunks, and account for every character."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import metadata
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from filmgate.core.errors import ContractBroken
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.pipelines.rulebook.contracts import (
    AllCoverage,
    AllSplits,
    Chunk,
    Chunks,
    Coverage,
    SourcePage,
    Toc,
    Tocs,
)
from filmgate.pipelines.rulebook.files import COVERAGE, PAGES, PARTS, PASS_A, PASS_B, PASS_C
from filmgate.pipelines.rulebook.pass_a import read_books
from filmgate.pipelines.rulebook.pass_b import split_books
from filmgate.pipelines.rulebook.pass_entry import moved_to
from filmgate.pipelines.rulebook.rules.chunking import chunk_book
from filmgate.pipelines.rulebook.rules.contents import relocate_sections
from filmgate.tools.books.unstructured_elements import read_elements_sandboxed

VERSION = 1


class PassCSettings(Settings):
    """How books are parsed."""

    parser: Literal["native", "unstructured"] = "native"
    """Source of the text blocks: the lines of pass A, or the elements that Unstructured finds."""


class BookPages(NamedTuple):
    """A book as read by pass A and split by pass B."""

    toc: Toc
    pages: tuple[SourcePage, ...]
    parts: dict[int, str]
    """Name of the part that contains each page, by page number; empty if pass B did not run."""
    files: tuple[tuple[Path, int], ...]
    """(file, page offset) of each part. The offset is the number of pages before the part."""


@stage(
    name="C",
    requires=[read_books.name],
    uses_if_run=[split_books.name],
    makes=[PASS_C, COVERAGE],
    settings=PassCSettings,
    optional_tools=["unstructured"],
    version=VERSION,
)
def chunk_books(context: StageContext, settings: PassCSettings) -> Outcome:
    """Split every book into chunks, in the order of its text."""
    chunks: list[Chunk] = []
    coverages: list[Coverage] = []
    is_native = settings.parser == "native"
    work = _chunk_lines if is_native else _chunk_elements
    with ExitStack() as stack:
        files = {} if is_native else stack.enter_context(_extract_parts(context))
        for result in context.map(
            work, _read_books(context, files), name=lambda book: book.toc.file
        ):
            if result.value is not None:
                chunks += result.value[0]
                coverages.append(result.value[1])
    context.write_document(PASS_C, Chunks(tuple(chunks)))
    context.write_document(COVERAGE, AllCoverage(tuple(coverages)))
    return Done(
        producer=_producer(settings),
        counts={
            "chunks": len(chunks),
            "characters": sum(coverage.characters for coverage in coverages),
            "characters skipped": sum(coverage.in_skipped for coverage in coverages),
        },
    )


run = moved_to("filmgate.ingest.pass_c")


@contextmanager
def _extract_parts(context: StageContext) -> Iterator[dict[str, tuple[tuple[Path, int], ...]]]:
    """Map each source id to the (file, page offset) pairs of its book.

    Parts are extracted from the archive, and deleted at the end of the block.
    """
    tocs = context.read_document(PASS_A, Tocs).root
    splits = context.read_document(PASS_B, AllSplits).root if context.has(PASS_B) else ()
    whole = {toc.source_id: ((context.sources[toc.file], 0),) for toc in tocs}
    with TemporaryDirectory(prefix="filmgate-") as folder:
        multipart = [book for book in splits if len(book.parts) > 1]
        if multipart:
            with zipfile.ZipFile(context.path(PARTS)) as archive:
                archive.extractall(folder, [part.path for book in multipart for part in book.parts])
        yield whole | {
            book.source_id: tuple((Path(folder) / p.path, p.page_offset) for p in book.parts)
            for book in multipart
        }


def _read_books(
    context: StageContext, files: Mapping[str, tuple[tuple[Path, int], ...]]
) -> Iterator[BookPages]:
    tocs = {toc.source_id: toc for toc in context.read_document(PASS_A, Tocs).root}
    parts = _parts_by_page(context)
    pages = context.read_records(PAGES, SourcePage)
    for source_id, book_pages in groupby(pages, key=lambda page: page.source_id):
        yield BookPages(
            tocs[source_id], tuple(book_pages), parts.get(source_id, {}), files.get(source_id, ())
        )


def _parts_by_page(context: StageContext) -> dict[str, dict[int, str]]:
    """Return the name of the part that contains each page, by source id and page number."""
    if not context.has(PASS_B):
        return {}
    return {
        book.source_id: {
            page: part.path
            for part in book.parts
            for page in range(part.page_from, part.page_to + 1)
        }
        for book in context.read_document(PASS_B, AllSplits).root
    }


def _chunk_lines(book: BookPages) -> tuple[list[Chunk], Coverage]:
    """Return the chunks of a book and its coverage.

    Raises ContractBroken if a character is neither in a chunk nor recorded as skipped.
    """
    chunks, coverage = chunk_book(book.toc, book.pages, book.parts)
    lost = coverage.characters - coverage.in_chunks - coverage.in_skipped
    if lost:
        raise ContractBroken(
            f"characters of {book.toc.file} are missing from its chunks",
            expected=f"{coverage.characters} characters",
            got=f"{lost} of them in no chunk",
        )
    return chunks, coverage


def _chunk_elements(book: BookPages) -> tuple[list[Chunk], Coverage]:
    """Return the chunks of a book and its coverage, from the elements that Unstructured finds.

    Raises Invalid if Unstructured finds no element.
    """
    labels = {page.page: page.label for page in book.pages}
    source_id = book.toc.source_id
    pages = [
        SourcePage(
            source_id=source_id, page=page.page, label=labels.get(page.page), lines=page.lines
        )
        for path, offset in book.files
        for page in read_elements_sandboxed(path, book.toc.format, offset)
    ]
    listed, unlisted = (relocate_sections(s, pages) for s in (book.toc.sections, book.toc.unlisted))
    toc = book.toc.model_copy(update={"sections": tuple(listed), "unlisted": tuple(unlisted)})
    return _chunk_lines(book._replace(toc=toc, pages=tuple(pages)))


def _producer(settings: PassCSettings) -> Producer:
    if settings.parser == "unstructured":
        return Producer(name="unstructured", version=metadata.version("unstructured"))
    return Producer(name="filmgate-chunks", version=str(VERSION))
