"""Pass C: cut every book into chunks, and account for every character."""

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
from filmgate.core.ports import Bench
from filmgate.core.rulebook import (
    Chunk,
    Chunks,
    Coverage,
    CoverageOfAll,
    SourcePage,
    SplitsOfAll,
    Toc,
    Tocs,
)
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import COVERAGE, PAGES, PARTS, PASS_A, PASS_B, PASS_C
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.pipelines.rulebook.pass_b import B
from filmgate.pipelines.rulebook.rules.chunking import chunks
from filmgate.pipelines.rulebook.rules.contents import found_again
from filmgate.tools.books.unstructured_elements import elements_of

VERSION = 1


class PassCSettings(Settings):
    """How books are parsed."""

    parser: Literal["native", "unstructured"] = "native"
    """Who finds the blocks of text: the lines of pass A, or Unstructured's elements."""


class Read(NamedTuple):
    """A book as pass A left it."""

    toc: Toc
    pages: tuple[SourcePage, ...]
    parts: dict[int, str]
    files: tuple[tuple[Path, int], ...]
    """The pieces of the book, and how many pages are in front of each."""


@stage(
    requires=[A.name],
    welcomes=[B.name],
    makes=[PASS_C, COVERAGE],
    settings=PassCSettings,
    optional_tools=["unstructured"],
    version=VERSION,
)
def C(bench: Bench, settings: PassCSettings) -> Outcome:  # noqa: N802 - what the pass is called
    """Chunks of every book, in the order of its text."""
    made: list[Chunk] = []
    accounts: list[Coverage] = []
    is_native = settings.parser == "native"
    chunk = _chunked if is_native else _chunked_by_unstructured
    with ExitStack() as stack:
        files = {} if is_native else stack.enter_context(_files(bench))
        for each in bench.map(chunk, _books(bench, files), name=_name):
            if each.value is not None:
                made += each.value[0]
                accounts.append(each.value[1])
    bench.write_document(PASS_C, Chunks(tuple(made)))
    bench.write_document(COVERAGE, CoverageOfAll(tuple(accounts)))
    return Done(
        producer=_producer(settings),
        counts={
            "chunks": len(made),
            "characters": sum(each.characters for each in accounts),
            "characters skipped": sum(each.in_skipped for each in accounts),
        },
    )


run = door(C)


@contextmanager
def _files(bench: Bench) -> Iterator[dict[str, tuple[tuple[Path, int], ...]]]:
    """The pieces of every book as files, by source; parts are unpacked for as long as it lasts."""
    tocs = bench.read_document(PASS_A, Tocs).root
    splits = bench.read_document(PASS_B, SplitsOfAll).root if bench.has(PASS_B) else ()
    whole = {each.source_id: ((bench.sources[each.file], 0),) for each in tocs}
    with TemporaryDirectory(prefix="filmgate-") as folder:
        parted = [each for each in splits if len(each.parts) > 1]
        if parted:
            with zipfile.ZipFile(bench.path(PARTS)) as archive:
                archive.extractall(folder, [part.path for each in parted for part in each.parts])
        yield whole | {
            each.source_id: tuple((Path(folder) / p.path, p.page_offset) for p in each.parts)
            for each in parted
        }


def _books(bench: Bench, files: Mapping[str, tuple[tuple[Path, int], ...]]) -> Iterator[Read]:
    tocs = {each.source_id: each for each in bench.read_document(PASS_A, Tocs).root}
    parts = _parts(bench)
    pages = bench.read_records(PAGES, SourcePage)
    for source_id, own in groupby(pages, key=_source):
        yield Read(tocs[source_id], tuple(own), parts.get(source_id, {}), files.get(source_id, ()))


def _source(page: SourcePage) -> str:
    return page.source_id


def _name(book: Read) -> str:
    return book.toc.file


def _parts(bench: Bench) -> dict[str, dict[int, str]]:
    """The piece that each page lies in, by book and page."""
    if not bench.has(PASS_B):
        return {}
    return {
        each.source_id: {
            page: part.path
            for part in each.parts
            for page in range(part.page_from, part.page_to + 1)
        }
        for each in bench.read_document(PASS_B, SplitsOfAll).root
    }


def _chunked(book: Read) -> tuple[list[Chunk], Coverage]:
    """The chunks of a book and their account; ContractBroken where a character was lost."""
    made, account = chunks(book.toc, book.pages, book.parts)
    lost = account.characters - account.in_chunks - account.in_skipped
    if lost:
        raise ContractBroken(
            f"{book.toc.file} was not chunked whole",
            expected=f"{account.characters} characters",
            got=f"{lost} of them in no chunk",
        )
    return made, account


def _chunked_by_unstructured(book: Read) -> tuple[list[Chunk], Coverage]:
    """The same, of the elements that Unstructured finds; Invalid where it finds none."""
    labels = {page.page: page.label for page in book.pages}
    source_id = book.toc.source_id
    pages = [
        SourcePage(
            source_id=source_id, page=page.page, label=labels.get(page.page), lines=page.lines
        )
        for path, offset in book.files
        for page in elements_of(path, book.toc.format, offset)
    ]
    listed, unlisted = (found_again(s, pages) for s in (book.toc.sections, book.toc.unlisted))
    toc = book.toc.model_copy(update={"sections": tuple(listed), "unlisted": tuple(unlisted)})
    return _chunked(book._replace(toc=toc, pages=tuple(pages)))


def _producer(settings: PassCSettings) -> Producer:
    if settings.parser == "unstructured":
        return Producer(name="unstructured", version=metadata.version("unstructured"))
    return Producer(name="filmgate-chunks", version=str(VERSION))
