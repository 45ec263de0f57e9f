"""Pass A: open every book, find its sections, and make its dictionary."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from filmgate.core.books import BookFacts, Page, Remark
from filmgate.core.errors import Invalid
from filmgate.core.ids import asset_id_from_name
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.rulebook import SourcePage, Toc, Tocs
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import PAGES, PASS_A
from filmgate.pipelines.rulebook.rules.contents import contents
from filmgate.pipelines.rulebook.rules.furniture import without_furniture
from filmgate.pipelines.rulebook.rules.rights import rights
from filmgate.pipelines.rulebook.rules.sections import sections
from filmgate.pipelines.rulebook.rules.terms import dictionary
from filmgate.tools.books.reading import read_book

VERSION = 1
"""Of the rules; raised whenever they decide otherwise."""


class PassASettings(Settings):
    """How books are opened."""

    ocr: bool = False
    """Read pages that are pictures off them; needs the packages of filmgate[episode]."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that may be a book."""

    name: str
    path: Path
    source_id: str
    book_id: str


class Opened(NamedTuple):
    """A book that was opened: its table of contents, and its pages."""

    toc: Toc
    pages: tuple[SourcePage, ...]


@stage(
    makes=[PASS_A, PAGES],
    settings=PassASettings,
    tools=["lxml", "markdown-it-py", "pypdfium2"],
    optional_tools=["rapidocr"],
    version=VERSION,
)
def A(bench: Bench, settings: PassASettings) -> Outcome:  # noqa: N802 - what the pass is called
    """Open each upload; one that cannot be read is refused, and the others go on."""
    digests = bench.head.source_sha_map
    uploads = [
        Upload(
            name=name,
            path=path,
            source_id=digests[name].removeprefix("sha256:"),
            book_id=book_id,
        )
        for (name, path), book_id in zip(
            bench.sources.items(), book_ids(bench.sources), strict=True
        )
    ]
    tocs: list[Toc] = []
    opened = bench.map(partial(open_book, ocr=settings.ocr), _once(bench, uploads), name=_name)

    def pages() -> Iterator[SourcePage]:
        for each in opened:
            if each.value is None:
                continue
            for remark in each.value.toc.remarks:
                bench.warn(remark.code, f"{each.item.name}: {remark.message}")
            tocs.append(each.value.toc)
            yield from each.value.pages

    bench.write_records(PAGES, pages())
    bench.write_document(PASS_A, Tocs(tuple(tocs)))
    listed = [each for toc in tocs for each in toc.sections]
    return Done(
        producer=Producer(name="filmgate-toc", version=str(VERSION)),
        counts={
            "books": len(tocs),
            "sections": len(listed),
            "astray": sum(each.place is None for each in listed),
            "terms": sum(len(toc.dictionary) for toc in tocs),
        },
    )


run = door(A)


def _name(upload: Upload) -> str:
    return upload.name


def _once(bench: Bench, uploads: Iterable[Upload]) -> list[Upload]:
    """Each book once, whatever it is called."""
    first: dict[str, Upload] = {}
    for each in uploads:
        if each.source_id in first:
            same = first[each.source_id].name
            bench.warn("same_book", f"{each.name} has the bytes of {same}, and is left out")
        else:
            first[each.source_id] = each
    return list(first.values())


def book_ids(names: Iterable[str]) -> list[str]:
    """What books go by: the stems of their names, with the end where two have one stem."""
    stems = {name: asset_id_from_name(name.replace("/", "-")) for name in names}
    counts = Counter(stem.casefold() for stem in stems.values())
    return [
        stem if counts[stem.casefold()] == 1 else f"{stem}-{name.rpartition('.')[2].lower()}"
        for name, stem in stems.items()
    ]


def open_book(upload: Upload, *, ocr: bool) -> Opened:
    """A book with its sections; Invalid where it cannot be read, or has no text."""
    book = read_book(upload.path, ocr=ocr)
    pages = without_furniture(list(book.pages))
    if not any(page.lines for page in pages):
        raise Invalid(
            "no page of it has text",
            expected="a text layer",
            got=f"{len(pages)} pages, {sum(page.is_image for page in pages)} of them pictures",
            hint="It is a scan: --ocr reads it off",
        )
    found = contents(book.facts, pages)
    listed, unlisted = sections(upload.book_id, found, pages)
    licence, attribution = rights(pages)
    toc = Toc(
        source_id=upload.source_id,
        book_id=upload.book_id,
        file=upload.name,
        format=book.facts.format,
        title=book.facts.title or upload.book_id,
        pages=len(pages),
        reader=book.producer,
        contents=found.method,
        licence=licence,
        attribution=attribution,
        sections=listed,
        unlisted=unlisted,
        dictionary=dictionary((*listed, *unlisted)),
        remarks=tuple(_remarks(book.facts, pages)),
    )
    return Opened(toc, tuple(_kept(upload.source_id, pages)))


def _kept(source_id: str, pages: Iterable[Page]) -> Iterator[SourcePage]:
    for page in pages:
        yield SourcePage.model_construct(source_id=source_id, **page.__dict__)


def _remarks(facts: BookFacts, pages: Iterable[Page]) -> Iterator[Remark]:
    yield from facts.remarks
    pictures = [str(page.page) for page in pages if page.is_image]
    if pictures:
        shown = ", ".join(pictures[:20]) + (", …" if len(pictures) > 20 else "")  # noqa: PLR2004
        yield Remark(
            code="no_text_layer", message=f"pages without text ({shown}); --ocr reads them off"
        )
