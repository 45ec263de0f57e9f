"""Read a book in a process of its own, so that a hostile one harms no other."""

import json
from pathlib import Path
from typing import Any

from filmgate.core.books import SUFFIXES, Book, BookFacts, BookFormat, Line, Page, Role
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.tools.books.confined import said_by

HEAD_BYTES = 1024
SIGNS = ((b"%PDF-", BookFormat.PDF), (b"PK\x03\x04", BookFormat.EPUB))
"""What the first bytes of a file say it is; a PDF may have some before its own
(ISO 32000-1, annex H, note 13)."""

ROLES = {role.value: role for role in Role}
WORKER = "filmgate.tools.books.worker"


def format_of(path: Path) -> BookFormat:
    """What a file is by its name, held against its first bytes; Invalid where they disagree."""
    named = SUFFIXES.get(path.suffix.lower())
    if named is None:
        raise Invalid(
            "this is no book of a kind known here",
            expected=f"a file that ends in {', '.join(SUFFIXES)}",
            got=path.suffix or "a name without an end",
            hint="Take it out of the uploads, or save it as one of these",
        )
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise Invalid("this file is empty", expected=f"a book as {named}", got="0 bytes")
    found = next((kind for sign, kind in SIGNS if _begins(head, sign)), None)
    is_marked = named in {kind for _, kind in SIGNS}
    if found is not named and (found is not None or is_marked):
        raise Invalid(
            f"this file is no {named}, whatever its name says",
            expected=f"what begins as {named} does",
            got=f"what looks like {found}" if found else f"{head[:8]!r}",
            hint="Give it the end that it should have, or fetch it again",
        )
    return named


def _begins(head: bytes, sign: bytes) -> bool:
    return sign in head if sign == SIGNS[0][0] else head.startswith(sign)


def read_book(path: Path, *, ocr: bool = False) -> Book:
    """Open a book of any known format. With `ocr`, pages that are pictures are read off.

    Raises Invalid where the file is broken, locked, hostile or not what its name says; also while
    its pages are taken. Take them all: the reader ends with the last.
    """
    book_format = format_of(path)
    how = "ocr" if ocr else "-"
    told = said_by(WORKER, str(path.absolute()), book_format.value, how)
    try:
        opened = next(told)
        return Book(
            producer=Producer.model_validate(opened["producer"]),
            facts=BookFacts.model_validate_json(json.dumps(opened["facts"])),
            pages=(page_of(each["page"]) for each in told),
        )
    except BaseException:
        told.close()
        raise


def page_of(told: dict[str, Any]) -> Page:
    """A page as the worker tells it. Its lines are many, and are held against their contract when
    they are written."""
    lines = tuple(
        Line(start, text, tuple(box) if box else None, size, font, ROLES[role], level)
        for start, text, box, size, font, role, level in told.pop("lines")
    )
    return Page.model_validate(told).model_copy(update={"lines": lines})
