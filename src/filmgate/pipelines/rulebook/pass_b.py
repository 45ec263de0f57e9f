"""Pass B: part books that are too big for tools with a limit."""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
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
from filmgate.pipelines.rulebook.rules.parting import Range, chapters, parting
from filmgate.tools.books.splitting import Splitter, splitting

VERSION = 1
MB = 1_000_000
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the earliest that a ZIP can hold."""


class PassBSettings(Settings):
    """When a book is parted."""

    limit_mb: Annotated[float, Field(gt=0, le=2000)] = 25.0
    """Of a file; a million bytes each."""


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
    splits: list[Splits] = []
    with bench.create(PARTS) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for number, toc in enumerate(tocs):
            bench.progress(number, len(tocs))
            path = bench.sources[toc.file]
            is_big = path.stat().st_size > settings.limit_mb * MB
            if is_big and toc.format is BookFormat.PDF:
                parts = _parted(toc, path, archive, round(settings.limit_mb * MB))
            else:
                parts = (_whole(toc, path),)
                if is_big:
                    bench.warn("not_parted", f"{toc.file} is big, and no PDF: it stays whole")
            splits.append(Splits(source_id=toc.source_id, book_id=toc.book_id, parts=parts))
    for each in splits:
        for part in each.parts:
            if part.size_mb > settings.limit_mb and len(each.parts) > 1:
                bench.warn("big_part", f"{part.path} is {part.size_mb} MB: one page that is so big")
    bench.write_document(PASS_B, SplitsOfAll(tuple(splits)))
    return Done(
        producer=Producer(name="filmgate-splitter", version=str(VERSION)),
        counts={
            "parted": sum(len(each.parts) > 1 for each in splits),
            "parts": sum(len(each.parts) for each in splits),
        },
    )


run = door(B)


def _whole(toc: Toc, path: Path) -> Part:
    return Part(
        path=toc.file,
        sha256=toc.source_id,
        size_mb=_megabytes(path.stat().st_size),
        page_from=1,
        page_to=toc.pages,
        page_offset=0,
        section_ids=tuple(each.section_id for each in toc.sections),
    )


def _megabytes(size: int) -> float:
    return round(size / MB, 6)


def _parted(toc: Toc, path: Path, archive: zipfile.ZipFile, limit_bytes: int) -> tuple[Part, ...]:
    """The parts of a book, each a member of the archive; together they have its pages, once."""
    top = min((each.level for each in toc.sections), default=1)
    starts = [e.page_start for e in toc.sections if e.level == top and e.place is not None]
    parts: list[Part] = []
    with splitting(path) as splitter:
        if splitter.pages != toc.pages:
            raise ContractBroken(
                f"{toc.file} has other pages for the splitter than for the reader",
                expected=str(toc.pages),
                got=str(splitter.pages),
            )
        ranges = chapters(starts, toc.pages)
        for pages, data in parting(ranges, _maker(splitter), limit_bytes):
            name = f"{toc.book_id}-p{pages.first:04}-{pages.last:04}.pdf"
            member = zipfile.ZipInfo(name, EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)
            parts.append(_part(toc, name, pages, data))
    _check_sums(toc, parts)
    return tuple(parts)


def _maker(splitter: Splitter) -> Callable[[Range], bytes]:
    return lambda pages: splitter.part(pages.first, pages.last)


def _part(toc: Toc, name: str, pages: Range, data: bytes) -> Part:
    begun = [e.section_id for e in toc.sections if pages.first <= e.page_start <= pages.last]
    return Part(
        path=name,
        sha256=sha256_hex(data),
        size_mb=_megabytes(len(data)),
        page_from=pages.first,
        page_to=pages.last,
        page_offset=pages.first - 1,
        section_ids=tuple(begun),
    )


def _check_sums(toc: Toc, parts: Iterable[Part]) -> None:
    """Raise ContractBroken unless the parts have every page of the book once, in order."""
    due = 1
    for part in parts:
        if part.page_from != due or part.page_to < part.page_from:
            raise ContractBroken(
                f"the parts of {toc.file} do not follow each other",
                expected=f"one from page {due}",
                got=f"{part.path} from page {part.page_from}",
            )
        due = part.page_to + 1
    if due != toc.pages + 1:
        raise ContractBroken(
            f"the parts of {toc.file} lack pages", expected=str(toc.pages), got=str(due - 1)
        )
