"""Pass B: part books that are too big for tools with a limit."""

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
from filmgate.core.ports import Bench
from filmgate.core.rulebook import Part, Splits, SplitsOfAll, Toc, Tocs
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import PARTS, PASS_A, PASS_B
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.tools.books.parting import Range
from filmgate.tools.books.splitting import split

VERSION = 1
MB = 1_000_000
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the earliest that a ZIP can hold."""


class PassBSettings(Settings):
    """When a book is parted."""

    limit_mb: Annotated[float, Field(gt=0, le=2000)] = 25.0
    """Of a file; a million bytes each."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A book before it is parted, and where its parts are to go."""

    toc: Toc
    path: Path
    folder: Path


Made = tuple[tuple[Range, Path], ...]


@stage(
    requires=[A.name],
    makes=[PASS_B, PARTS],
    settings=PassBSettings,
    tools=["pikepdf"],
    version=VERSION,
)
def B(bench: Bench, settings: PassBSettings) -> Outcome:  # noqa: N802 - what the pass is called
    """Part each PDF over the limit at its chapters; others are one part as they are."""
    tocs = bench.read_document(PASS_A, Tocs).root
    limit = round(settings.limit_mb * MB)
    splits: list[Splits] = []
    with (
        TemporaryDirectory(prefix="filmgate-") as folder,
        bench.create(PARTS) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        books = [
            Whole(toc=toc, path=bench.sources[toc.file], folder=Path(folder) / toc.source_id)
            for toc in tocs
        ]
        for each in bench.map(partial(_made, limit_bytes=limit), books, name=_name):
            if each.value is None:
                continue
            toc, parts = each.item.toc, _kept(each.item, each.value, archive)
            for part in parts:
                if part.size_mb * MB > limit:
                    bench.warn(
                        "big_part", f"{part.path} is {part.size_mb} MB, and cannot be parted"
                    )
            splits.append(Splits(source_id=toc.source_id, book_id=toc.book_id, parts=parts))
    bench.write_document(PASS_B, SplitsOfAll(tuple(splits)))
    return Done(
        producer=Producer(name="filmgate-splitter", version=str(VERSION)),
        counts={
            "parted": sum(len(each.parts) > 1 for each in splits),
            "parts": sum(len(each.parts) for each in splits),
        },
    )


run = door(B)


def _name(book: Whole) -> str:
    return book.toc.file


def _made(book: Whole, *, limit_bytes: int) -> Made:
    """The parts of a book as files; none where it stays whole. ContractBroken where they are not
    all of its pages."""
    toc = book.toc
    if book.path.stat().st_size <= limit_bytes or toc.format is not BookFormat.PDF:
        return ()
    top = min((each.level for each in toc.sections), default=1)
    starts = [e.page_start for e in toc.sections if e.level == top and e.place is not None]
    book.folder.mkdir()
    made = split(book.path, book.folder, starts, limit_bytes)
    _check_sums(toc, [pages for pages, _ in made])
    return tuple(made)


def _kept(book: Whole, made: Made, archive: zipfile.ZipFile) -> tuple[Part, ...]:
    """The parts as members of the archive; of a book that stays whole, itself."""
    toc = book.toc
    if not made:
        return (_part(toc, toc.file, Range(1, toc.pages), toc.source_id, book.path),)
    parts = []
    for pages, path in made:
        member = zipfile.ZipInfo(f"{toc.book_id}-p{pages.first:04}-{pages.last:04}.pdf", EPOCH)
        member.external_attr = 0o644 << 16
        data = path.read_bytes()
        archive.writestr(member, data)
        parts.append(_part(toc, member.filename, pages, sha256_hex(data), path))
        path.unlink()
    return tuple(parts)


def _part(toc: Toc, name: str, pages: Range, sha256: str, path: Path) -> Part:
    begun = [e.section_id for e in toc.sections if pages.first <= e.page_start <= pages.last]
    return Part(
        path=name,
        sha256=sha256,
        size_mb=round(path.stat().st_size / MB, 6),
        page_from=pages.first,
        page_to=pages.last,
        page_offset=pages.first - 1,
        section_ids=tuple(begun),
    )


def _check_sums(toc: Toc, parts: Sequence[Range]) -> None:
    """Raise ContractBroken unless the parts have every page of the book once, in order."""
    covered = [page for each in parts for page in range(each.first, each.last + 1)]
    if covered != list(range(1, toc.pages + 1)):
        raise ContractBroken(
            f"the parts of {toc.file} are not its pages",
            expected=f"pages 1 to {toc.pages}, each once",
            got=_told(parts),
        )


def _told(parts: Iterable[Range]) -> str:
    return ", ".join(f"{each.first}-{each.last}" for each in parts) or "none"
