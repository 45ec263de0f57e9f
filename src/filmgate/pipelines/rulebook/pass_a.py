"""Pass A: open every book, find its sections, and build its dictionary."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from filmgate.core.books import NON_TEXT_ROLES, BookFacts, Page, Remark
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid
from filmgate.core.ids import ID_PATTERN, asset_id_from_name
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.pipelines.rulebook.contracts import Method, Section, SourcePage, Toc, Tocs
from filmgate.pipelines.rulebook.files import PAGES, PASS_A
from filmgate.pipelines.rulebook.pass_entry import moved_to
from filmgate.pipelines.rulebook.rules.contents import find_contents
from filmgate.pipelines.rulebook.rules.page_headers import PageHeader, mark_page_headers
from filmgate.pipelines.rulebook.rules.rights import find_rights
from filmgate.pipelines.rulebook.rules.sections import build_sections
from filmgate.pipelines.rulebook.rules.terms import build_dictionary
from filmgate.pipelines.rulebook.rules.text import clean_text
from filmgate.tools.books.reading import detect_format, read_book

MIN_SCAN_CHARACTERS = 20
"""Minimum number of characters per scanned page; lines on several pages are not counted. Fewer
characters are a stamp, and the book is a scan without a text layer."""

REFUSED = "refused"
"""Key in `asset.media` of the refused uploads: a mapping from name to reason."""

VERSION = 2
"""Version of the rules of this pass; increased whenever their results change."""

MAX_LISTED = 8
"""Number of page headers that a remark lists; `passC_coverage.json` contains all of them."""

MAX_SHOWN = 60
"""Number of characters of a page header that a remark shows."""


class PassASettings(Settings):
    """How books are opened."""

    ocr: bool = False
    """Whether to read pages that are images by OCR; needs the packages of filmgate[episode]."""


@dataclass(frozen=True, kw_only=True)
class UploadedBook:
    """A file that may be a book."""

    name: str
    path: Path
    source_id: str
    book_id: str
    refusal_reason: str | None = None
    """Reason why the upload is refused without opening it: it points outside the uploads, or is not
    a file."""


class OpenedBook(NamedTuple):
    """The table of contents and the pages of a book."""

    toc: Toc
    pages: tuple[SourcePage, ...]


@stage(
    name="A",
    makes=[PASS_A, PAGES],
    settings=PassASettings,
    tools=["lxml", "markdown-it-py", "pypdfium2"],
    optional_tools=["rapidocr", "onnxruntime", "opencv-python-headless", "numpy"],
    version=VERSION,
)
def read_books(context: StageContext, settings: PassASettings) -> Outcome:
    """Open each upload; one that cannot be read is refused, and the others are processed."""
    uploads = list(_skip_duplicates(context, _list_uploads(context)))
    tocs: list[Toc] = []
    results = context.map(
        partial(open_book, ocr=settings.ocr), uploads, name=lambda upload: upload.name
    )

    def collect_pages() -> Iterator[SourcePage]:
        for result in results:
            if result.value is None:
                continue
            for remark in result.value.toc.remarks:
                context.warn(remark.code, f"{result.item.name}: {remark.message}")
            tocs.append(result.value.toc)
            yield from result.value.pages

    context.write_records(PAGES, collect_pages())
    context.write_document(PASS_A, Tocs(tuple(tocs)))
    listed = [section for toc in tocs for section in toc.sections]
    return Done(
        producer=Producer(name="filmgate-toc", version=str(VERSION)),
        counts={
            "books": len(tocs),
            "sections": len(listed),
            "astray": sum(section.place is None for section in listed),
            "terms": sum(len(toc.dictionary) for toc in tocs),
        },
    )


run = moved_to("filmgate.ingest.pass_a")


def _list_uploads(context: StageContext) -> Iterator[UploadedBook]:
    """Yield all input files, then the entries of the uploads folder that were refused."""
    for name, path in context.sources.items():
        yield UploadedBook(
            name=name,
            path=path,
            source_id=context.head.source_sha_map[name].removeprefix("sha256:"),
            book_id=book_id_from_name(name),
        )
    refused = context.head.asset.media.get(REFUSED)
    for name, reason in sorted(refused.items()) if isinstance(refused, dict) else ():
        yield UploadedBook(
            name=name, path=Path(name), source_id=name, book_id=name, refusal_reason=reason
        )


def _skip_duplicates(
    context: StageContext, uploads: Iterable[UploadedBook]
) -> Iterator[UploadedBook]:
    """Yield the first upload of each content, and warn about each duplicate.

    Uploads that are not books are all yielded, so that each of them is refused.
    """
    first: dict[str, UploadedBook] = {}
    for upload in uploads:
        is_book = upload.refusal_reason is None and _is_book(upload.path)
        same = first.setdefault(upload.source_id, upload) if is_book else upload
        if same is upload:
            yield upload
        else:
            context.warn(
                "same_book", f"{upload.name} has the same bytes as {same.name} and is left out"
            )


def _is_book(path: Path) -> bool:
    try:
        return bool(detect_format(path))
    except Invalid:
        return False


def book_id_from_name(name: str) -> str:
    """Return the id of a book; it does not depend on other files.

    The id is the path in the uploads folder, if that is a valid id; otherwise it is a simplified
    form of the path plus eight digits of its digest.
    """
    if re.fullmatch(ID_PATTERN, name):
        return name
    digest = sha256_hex(name.encode("utf-8", "surrogateescape"))[:8]
    plain = asset_id_from_name(f"{name.replace('/', '-')}.x")
    return plain if plain.endswith(digest) else f"{plain}-{digest}"


def open_book(upload: UploadedBook, *, ocr: bool) -> OpenedBook:
    """Read a book and find its sections. Raises Invalid if it cannot be read, or has no text."""
    if upload.refusal_reason is not None:
        raise Invalid(
            "the upload is not a file in the uploads folder",
            expected="a file in the folder",
            got=upload.refusal_reason,
            hint="Copy the file itself into the folder, or remove the entry",
        )
    book = read_book(upload.path, ocr=ocr)
    pages, left_out = mark_page_headers(list(book.pages))
    _check_text(pages)
    contents = find_contents(book.facts, pages)
    listed, unlisted = build_sections(upload.book_id, contents, pages)
    licence, attribution = find_rights(pages)
    toc = Toc(
        source_id=upload.source_id,
        book_id=upload.book_id,
        file=upload.name,
        format=book.facts.format,
        title=_title(book.facts, listed) or upload.book_id,
        pages=len(pages),
        reader=book.producer,
        contents=contents.method,
        licence=licence,
        attribution=attribution,
        sections=listed,
        unlisted=unlisted,
        dictionary=build_dictionary((*listed, *unlisted)),
        remarks=tuple(_make_remarks(book.facts, pages, left_out)),
    )
    return OpenedBook(toc, tuple(_source_pages(upload.source_id, pages)))


def _check_text(pages: Sequence[Page]) -> None:
    """Raise Invalid if the only text is page headers, or stamps on images."""
    if any(_has_text(page) for page in pages if not page.is_image):
        return
    scans = [page for page in pages if page.is_image]
    lines = Counter(clean_text(line.text) for page in scans for line in page.lines)
    characters = sum(len(text) for text, count in lines.items() if count == 1)
    if scans and characters >= MIN_SCAN_CHARACTERS * len(scans):
        return
    raise Invalid(
        "the book has no text",
        expected="a text layer",
        got=f"{len(scans)} pages that are images, {len(pages) - len(scans)} blank pages",
        hint="Use --ocr to read a scan" if scans else "Check the file: all its pages are blank",
    )


def _has_text(page: Page) -> bool:
    return any(line.role not in NON_TEXT_ROLES and clean_text(line.text) for line in page.lines)


def _title(facts: BookFacts, listed: Sequence[Section]) -> str:
    """Return the title of a book, or an empty text if it has none.

    The title is that in the file's metadata, or else the first heading of the highest level.
    """
    if facts.title and (title := clean_text(facts.title)):
        return title
    top = [section.name for section in listed if section.parent_id is None]
    is_marked = bool(listed) and listed[0].method is Method.MARKUP
    return top[0] if is_marked and listed[0].parent_id is None else ""


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _source_pages(source_id: str, pages: Iterable[Page]) -> Iterator[SourcePage]:
    for page in pages:
        yield SourcePage.model_construct(source_id=source_id, **page.__dict__)


def _make_remarks(
    facts: BookFacts, pages: Iterable[Page], left_out: Sequence[PageHeader]
) -> Iterator[Remark]:
    yield from facts.remarks
    if left_out:
        listed = ", ".join(
            f"{_shortened(text)!r} on {count} page{'s' * (count != 1)}"
            for text, count in left_out[:MAX_LISTED]
        )
        more = f", and {len(left_out) - MAX_LISTED} more" if len(left_out) > MAX_LISTED else ""
        yield Remark(code="page_headers", message=f"left out as page headers: {listed}{more}")
    images = [str(page.page) for page in pages if page.is_image]
    if images:
        shown = ", ".join(images[:20]) + (", …" if len(images) > 20 else "")  # noqa: PLR2004
        yield Remark(
            code="no_text_layer",
            message=f"pages that are images without a text layer: {shown}; use --ocr to read them",
        )
