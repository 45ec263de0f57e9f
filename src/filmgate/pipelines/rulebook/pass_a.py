"""Pass A: open every book, find its sections, and make its dictionary."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from filmgate.core.books import LEFT_OUT, BookFacts, Page, Remark
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid
from filmgate.core.ids import ID_PATTERN, asset_id_from_name
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.rulebook import Method, Section, SourcePage, Toc, Tocs
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import PAGES, PASS_A
from filmgate.pipelines.rulebook.rules.contents import contents
from filmgate.pipelines.rulebook.rules.page_headers import Repeated, mark_page_headers
from filmgate.pipelines.rulebook.rules.rights import rights
from filmgate.pipelines.rulebook.rules.sections import sections
from filmgate.pipelines.rulebook.rules.terms import dictionary
from filmgate.pipelines.rulebook.rules.text import cleaned
from filmgate.tools.books.reading import format_of, read_book

MIN_WRITTEN = 20
"""Characters a page, not counting what stands on several: less on pictures is a stamp, and the
book a scan."""

REFUSED = "refused"
"""Among what is known of the uploads: files that are none, by name, with the reason."""

VERSION = 2
"""Version of the rules; raised whenever they decide otherwise."""

MAX_LISTED = 8
"""Page headers that a remark lists; `passC_coverage.json` has every one."""

MAX_SHOWN = 60
"""Characters of a page header that a remark shows."""


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
    refused: str | None = None
    """Why it was not even looked at: it leads out of the uploads, or is no file."""


class Opened(NamedTuple):
    """A book that was opened: its table of contents, and its pages."""

    toc: Toc
    pages: tuple[SourcePage, ...]


@stage(
    makes=[PASS_A, PAGES],
    settings=PassASettings,
    tools=["lxml", "markdown-it-py", "pypdfium2"],
    optional_tools=["rapidocr", "onnxruntime", "opencv-python-headless", "numpy"],
    version=VERSION,
)
def A(bench: Bench, settings: PassASettings) -> Outcome:  # noqa: N802 - what the pass is called
    """Open each upload; one that cannot be read is refused, and the others go on."""
    uploads = list(_once(bench, _uploads(bench)))
    tocs: list[Toc] = []
    opened = bench.map(partial(open_book, ocr=settings.ocr), uploads, name=_name)

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


def _uploads(bench: Bench) -> Iterator[Upload]:
    """Every file that was handed in, and what was in the uploads and is none."""
    for name, path in bench.sources.items():
        yield Upload(
            name=name,
            path=path,
            source_id=bench.head.source_sha_map[name].removeprefix("sha256:"),
            book_id=book_id_of(name),
        )
    for name, why in sorted(bench.head.asset.media.get(REFUSED, {}).items()):
        yield Upload(name=name, path=Path(name), source_id=name, book_id=name, refused=why)


def _name(upload: Upload) -> str:
    return upload.name


def _once(bench: Bench, uploads: Iterable[Upload]) -> Iterator[Upload]:
    """Each book once, whatever it is called; what is no book by its name goes on to be refused."""
    first: dict[str, Upload] = {}
    for each in uploads:
        is_book = each.refused is None and _is_book(each.path)
        same = first.setdefault(each.source_id, each) if is_book else each
        if same is each:
            yield each
        else:
            bench.warn("same_book", f"{each.name} has the bytes of {same.name}, and is left out")


def _is_book(path: Path) -> bool:
    try:
        return bool(format_of(path))
    except Invalid:
        return False


def book_id_of(name: str) -> str:
    """What a book goes by: the name of its file below the uploads. Where that is no id as it
    stands, eight digits of its digest keep it apart from others. No other file has a say."""
    if re.fullmatch(ID_PATTERN, name):
        return name
    digest = sha256_hex(name.encode("utf-8", "surrogateescape"))[:8]
    plain = asset_id_from_name(f"{name.replace('/', '-')}.x")
    return plain if plain.endswith(digest) else f"{plain}-{digest}"


def open_book(upload: Upload, *, ocr: bool) -> Opened:
    """A book with its sections; Invalid where it cannot be read, or has no text."""
    if upload.refused is not None:
        raise Invalid(
            "this is no book of the uploads",
            expected="a file in the folder",
            got=upload.refused,
            hint="Put the file itself there, or take it away",
        )
    book = read_book(upload.path, ocr=ocr)
    pages, left_out = mark_page_headers(list(book.pages))
    _check_text(pages)
    found = contents(book.facts, pages)
    listed, unlisted = sections(upload.book_id, found, pages)
    licence, attribution = rights(pages)
    toc = Toc(
        source_id=upload.source_id,
        book_id=upload.book_id,
        file=upload.name,
        format=book.facts.format,
        title=_title(book.facts, listed) or upload.book_id,
        pages=len(pages),
        reader=book.producer,
        contents=found.method,
        licence=licence,
        attribution=attribution,
        sections=listed,
        unlisted=unlisted,
        dictionary=dictionary((*listed, *unlisted)),
        remarks=tuple(_remarks(book.facts, pages, left_out)),
    )
    return Opened(toc, tuple(_kept(upload.source_id, pages)))


def _check_text(pages: Sequence[Page]) -> None:
    """Raise Invalid where there is nothing to read but what is printed on every page, or stamped
    onto pictures."""
    if any(_has_text(each) for each in pages if not each.is_image):
        return
    scans = [page for page in pages if page.is_image]
    seen = Counter(cleaned(line.text) for page in scans for line in page.lines)
    written = sum(len(text) for text, count in seen.items() if count == 1)
    if scans and written >= MIN_WRITTEN * len(scans):
        return
    pictures = len(scans)
    raise Invalid(
        "no page of it has text",
        expected="a text layer",
        got=f"{len(pages)} without: {pictures} pictures, {len(pages) - pictures} blank",
        hint="It is a scan: --ocr reads it off" if pictures else "There is nothing in it",
    )


def _has_text(page: Page) -> bool:
    return any(line.role not in LEFT_OUT and cleaned(line.text) for line in page.lines)


def _title(facts: BookFacts, listed: Sequence[Section]) -> str:
    """What the file says it is called, else its only first heading of the highest level."""
    if facts.title and (title := cleaned(facts.title)):
        return title
    top = [each.name for each in listed if each.parent_id is None]
    is_marked = bool(listed) and listed[0].method is Method.MARKUP
    return top[0] if is_marked and listed[0].parent_id is None else ""


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _kept(source_id: str, pages: Iterable[Page]) -> Iterator[SourcePage]:
    for page in pages:
        yield SourcePage.model_construct(source_id=source_id, **page.__dict__)


def _remarks(
    facts: BookFacts, pages: Iterable[Page], left_out: Sequence[Repeated]
) -> Iterator[Remark]:
    yield from facts.remarks
    if left_out:
        listed = ", ".join(
            f"{_shortened(text)!r} on {count} page{'s' * (count != 1)}"
            for text, count in left_out[:MAX_LISTED]
        )
        more = f", and {len(left_out) - MAX_LISTED} more" if len(left_out) > MAX_LISTED else ""
        yield Remark(code="page_headers", message=f"left out as page headers: {listed}{more}")
    pictures = [str(page.page) for page in pages if page.is_image]
    if pictures:
        shown = ", ".join(pictures[:20]) + (", …" if len(pictures) > 20 else "")  # noqa: PLR2004
        yield Remark(
            code="no_text_layer",
            message=f"pages that are pictures, or stamped ones ({shown}); --ocr reads them off",
        )
