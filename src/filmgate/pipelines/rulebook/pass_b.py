"""Pass B: split books that are too large for tools with a size limit."""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from pydantic import Field

from filmgate.core.books import BookFormat
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import ContractBroken
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.pipelines.rulebook.contracts import AllSplits, Part, Splits, Toc, Tocs
from filmgate.pipelines.rulebook.files import PARTS, PASS_A, PASS_B
from filmgate.pipelines.rulebook.pass_a import read_books
from filmgate.pipelines.rulebook.pass_entry import moved_to
from filmgate.tools.books.page_ranges import PageRange
from filmgate.tools.books.splitting import split

VERSION = 1
MB = 1_000_000
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Modification time of every ZIP member: the earliest that the format can store."""


class PassBSettings(Settings):
    """When a book is split."""

    limit_mb: Annotated[float, Field(gt=0, le=2000)] = 25.0
    """Size of a file above which it is split, in megabytes of 1,000,000 bytes."""


@dataclass(frozen=True, kw_only=True)
class UnsplitBook:
    """A book before it is split, and the folder for its parts."""

    toc: Toc
    path: Path
    folder: Path


SplitFiles = tuple[tuple[PageRange, Path], ...]


@stage(
    name="B",
    requires=[read_books.name],
    makes=[PASS_B, PARTS],
    settings=PassBSettings,
    tools=["pikepdf"],
    version=VERSION,
)
def split_books(context: StageContext, settings: PassBSettings) -> Outcome:
    """Split each PDF over the limit at its chapters; every other book is a single part."""
    tocs = context.read_document(PASS_A, Tocs).root
    limit = round(settings.limit_mb * MB)
    splits: list[Splits] = []
    with (
        TemporaryDirectory(prefix="filmgate-") as folder,
        context.create(PARTS) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        books = [
            UnsplitBook(
                toc=toc, path=context.sources[toc.file], folder=Path(folder) / toc.source_id
            )
            for toc in tocs
        ]
        work = partial(_split_book, limit_bytes=limit)
        for result in context.map(work, books, name=lambda book: book.toc.file):
            if result.value is None:
                continue
            toc, parts = result.item.toc, _store_parts(result.item, result.value, archive)
            for part in parts:
                if part.size_mb * MB > limit:
                    context.warn(
                        "big_part", f"{part.path} has {part.size_mb} MB and cannot be split further"
                    )
            splits.append(Splits(source_id=toc.source_id, book_id=toc.book_id, parts=parts))
    context.write_document(PASS_B, AllSplits(tuple(splits)))
    return Done(
        producer=Producer(name="filmgate-splitter", version=str(VERSION)),
        counts={
            "parted": sum(len(split.parts) > 1 for split in splits),
            "parts": sum(len(split.parts) for split in splits),
        },
    )


run = moved_to("filmgate.ingest.pass_b")


def _split_book(book: UnsplitBook, *, limit_bytes: int) -> SplitFiles:
    """Split a book into files; return () for a book that is small enough, or is not a PDF.

    Raises ContractBroken if the parts do not contain every page once.
    """
    toc = book.toc
    if book.path.stat().st_size <= limit_bytes or toc.format is not BookFormat.PDF:
        return ()
    top = min((section.level for section in toc.sections), default=1)
    starts = [s.page_start for s in toc.sections if s.level == top and s.place is not None]
    book.folder.mkdir()
    files = split(book.path, book.folder, starts, limit_bytes)
    _check_pages(toc, [pages for pages, _ in files])
    return tuple(files)


def _store_parts(
    book: UnsplitBook, files: SplitFiles, archive: zipfile.ZipFile
) -> tuple[Part, ...]:
    """Move the files of a book into the archive, and return its parts.

    A book that was not split becomes a single part.
    """
    toc = book.toc
    if not files:
        return (_part(toc, toc.file, PageRange(1, toc.pages), toc.source_id, book.path),)
    parts = []
    for pages, path in files:
        member = zipfile.ZipInfo(f"{toc.book_id}-p{pages.first:04}-{pages.last:04}.pdf", EPOCH)
        member.external_attr = 0o644 << 16
        data = path.read_bytes()
        archive.writestr(member, data)
        parts.append(_part(toc, member.filename, pages, sha256_hex(data), path))
        path.unlink()
    return tuple(parts)


def _part(toc: Toc, name: str, pages: PageRange, sha256: str, path: Path) -> Part:
    starting = [s.section_id for s in toc.sections if pages.first <= s.page_start <= pages.last]
    return Part(
        path=name,
        sha256=sha256,
        size_mb=round(path.stat().st_size / MB, 6),
        page_from=pages.first,
        page_to=pages.last,
        page_offset=pages.first - 1,
        section_ids=tuple(starting),
    )


def _check_pages(toc: Toc, parts: Sequence[PageRange]) -> None:
    """Raise ContractBroken unless the parts contain every page of the book once, in page order."""
    covered = [page for part in parts for page in range(part.first, part.last + 1)]
    if covered != list(range(1, toc.pages + 1)):
        raise ContractBroken(
            f"the parts of {toc.file} do not match its pages",
            expected=f"pages 1 to {toc.pages}, each once",
            got=_format_ranges(parts),
        )


def _format_ranges(parts: Iterable[PageRange]) -> str:
    return ", ".join(f"{part.first}-{part.last}" for part in parts) or "none"
