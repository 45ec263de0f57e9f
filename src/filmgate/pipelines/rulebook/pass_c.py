"""Pass C: cut every book into chunks, and account for every character."""

from collections.abc import Iterator
from importlib import metadata
from itertools import groupby
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
from filmgate.pipelines.rulebook.files import COVERAGE, PAGES, PASS_A, PASS_B, PASS_C
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.pipelines.rulebook.pass_b import B
from filmgate.pipelines.rulebook.rules.chunking import chunks

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


@stage(
    requires=[A.name],
    uses=[B.name],
    makes=[PASS_C, COVERAGE],
    settings=PassCSettings,
    optional_tools=["unstructured"],
    version=VERSION,
)
def C(bench: Bench, settings: PassCSettings) -> Outcome:  # noqa: N802 - what the pass is called
    """Chunks of every book, in the order of its text."""
    made: list[Chunk] = []
    accounts: list[Coverage] = []
    for each in bench.map(_chunked, _books(bench), name=_name):
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


def _books(bench: Bench) -> Iterator[Read]:
    tocs = {each.source_id: each for each in bench.read_document(PASS_A, Tocs).root}
    parts = _parts(bench)
    pages = bench.read_records(PAGES, SourcePage)
    for source_id, own in groupby(pages, key=_source):
        yield Read(tocs[source_id], tuple(own), parts.get(source_id, {}))


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


def _producer(settings: PassCSettings) -> Producer:
    if settings.parser == "unstructured":
        return Producer(name="unstructured", version=metadata.version("unstructured"))
    return Producer(name="filmgate-chunks", version=str(VERSION))
