"""Read a book in a sandboxed process, so that a malicious file cannot harm others."""

import json
from pathlib import Path

from filmgate.core.books import FORMATS_BY_SUFFIX, Book, BookFacts, BookFormat, Line, Page, Role
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.tools.books.sandboxed import Message, run_module

HEAD_BYTES = 1024
SIGNATURES = ((b"%PDF-", BookFormat.PDF), (b"PK\x03\x04", BookFormat.EPUB))
"""First bytes of the formats that have a signature; other bytes may precede a PDF's signature
(ISO 32000-1, annex H, note 13)."""

ROLES = {role.value: role for role in Role}
WORKER = "filmgate.tools.books.worker"


def detect_format(path: Path) -> BookFormat:
    """Return the format of a book, according to the suffix of its file.

    Raises Invalid if the suffix is unknown, the file is empty, or its first bytes are those of
    another format.
    """
    named = FORMATS_BY_SUFFIX.get(path.suffix.lower())
    if named is None:
        raise Invalid(
            "the format of the book is unknown",
            expected=f"a file that ends in {', '.join(FORMATS_BY_SUFFIX)}",
            got=path.suffix or "a name without a suffix",
            hint="Remove the file from the uploads, or save it in one of these formats",
        )
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise Invalid("the file is empty", expected=f"a book in the format {named}", got="0 bytes")
    found = next((kind for signature, kind in SIGNATURES if _has_signature(head, signature)), None)
    is_signed = named in {kind for _, kind in SIGNATURES}
    if found is not named and (found is not None or is_signed):
        raise Invalid(
            f"the file is not {named}, although its suffix says so",
            expected=f"the first bytes of {named}",
            got=f"the first bytes of {found}" if found else f"{head[:8]!r}",
            hint="Correct the suffix of the file's name, or fetch the file again",
        )
    return named


def _has_signature(head: bytes, signature: bytes) -> bool:
    return signature in head if signature == SIGNATURES[0][0] else head.startswith(signature)


def read_book(path: Path, *, ocr: bool = False) -> Book:
    """Open a book of any known format. With `ocr`, the text of scanned pages is recognised.

    Raises Invalid if the file is damaged, encrypted, malicious or not of the format in its name.
    This can also happen while pages are read. All pages must be read, because the process ends with
    the last one.
    """
    book_format = detect_format(path)
    mode = "ocr" if ocr else "-"
    messages = run_module(WORKER, str(path.absolute()), book_format.value, mode)
    try:
        opened = next(messages)
        return Book(
            producer=Producer.model_validate(opened["producer"]),
            facts=BookFacts.model_validate_json(json.dumps(opened["facts"])),
            pages=(parse_page(message["page"]) for message in messages),
        )
    except BaseException:
        messages.close()
        raise


def parse_page(fields: Message) -> Page:
    """Parse a page in a worker's message.

    The lines, of which there are many, are not validated here, but when they are written.
    """
    lines = tuple(
        Line(start, text, tuple(box) if box else None, size, font, ROLES[role], level)
        for start, text, box, size, font, role, level in fields.pop("lines")
    )
    return Page.model_validate(fields).model_copy(update={"lines": lines})
