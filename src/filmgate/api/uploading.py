"""Uploads: a body that is written to disk as it comes, whole or as a part of a form."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TypeVar

from anyio import CancelScope, to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from filmgate.api.limits import IDLE_S, too_large
from filmgate.core.errors import Invalid, TooSlow, UnsupportedMedia
from filmgate.store.uploads import Draft

NO_FILES = {b"application/x-www-form-urlencoded", b"application/json"}
FIELDS = ("asset_id",)
LONGEST_FIELD = 1000
SLOWEST_BYTES_PER_S, FIRST_S = 1000, 60.0
"""What an upload must come at, on average, once it has been coming for so long."""

D = TypeVar("D")

GATHERED_BYTES = 1 << 20
"""So much is gathered before it is written: a thread for every small piece would be slow."""


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """A request's body as it comes. Raises TooLarge, and TooSlow where nothing comes for long."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit + GATHERED_BYTES:
        raise too_large(limit, int(announced))
    total, began = 0, time.monotonic()
    stream = request.stream().__aiter__()
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), IDLE_S)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TooSlow(
                "the upload does not come", expected=f"something every {IDLE_S:g} s"
            ) from None
        total += len(piece)
        lasted_s = time.monotonic() - began
        if lasted_s > FIRST_S and total < SLOWEST_BYTES_PER_S * lasted_s:
            raise TooSlow(
                "the upload comes too slowly",
                expected=f"{SLOWEST_BYTES_PER_S} bytes a second or more",
                got=f"{total / lasted_s:.0f}",
            )
        if total > limit + GATHERED_BYTES:
            raise too_large(limit, None)
        yield piece


class Incoming:
    """The file in a body: all of it, or the first part of a form that is a file."""

    def __init__(self, content_type: str, *, is_named: bool) -> None:
        """`is_named`: whether its name is known; then a content type that curl sends of itself
        is no reason to refuse it."""
        kind, options = parse_options_header(content_type)
        self.file_name: str | None = None
        self.is_whole = False
        """Whether all of the file has come."""
        self._ready = bytearray()
        self._form: MultipartParser | None = None
        self._headers: list[tuple[bytearray, bytearray]] = []
        self._is_inside = False
        self._field_name = ""
        self._fields: dict[str, bytearray] = {}
        if kind == b"multipart/form-data":
            self._form = self._parser(options.get(b"boundary", b""))
        elif kind in NO_FILES and not is_named:
            raise UnsupportedMedia(
                "a body of that content type is no file",
                expected="multipart/form-data with a file, or the file's bytes and ?filename=",
                got=kind.decode("latin-1"),
                hint="curl -F file=@film.mp4, or --data-binary @film.mp4 with ?filename=film.mp4",
            )

    @property
    def is_form(self) -> bool:
        """Whether the file comes in a form."""
        return self._form is not None

    @property
    def gathered(self) -> int:
        """How many bytes of the file wait to be taken."""
        return len(self._ready)

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body."""
        if self._form is None:
            self._ready += piece
            return
        try:
            self._form.write(piece)
        except FormParserError as error:
            raise Invalid("the form cannot be read", got=str(error)[:200]) from error

    def finish(self) -> None:
        """The body has ended; Invalid where the file in it has not."""
        if self._form is not None and not self.is_whole:
            raise Invalid(
                "the form has no whole file",
                expected="a part with a filename, to its end",
                got="a form that broke off" if self.file_name else "no such part",
                hint="curl -F file=@film.mp4",
            )

    def take(self) -> bytes:
        """What of the file has come since the last time."""
        taken = bytes(self._ready)
        self._ready.clear()
        return taken

    def field(self, name: str) -> str | None:
        """A field of the form that is no file; None where there is none."""
        found = self._fields.get(name)
        return found.decode("utf-8", "replace") if found is not None else None

    def _parser(self, boundary: bytes) -> MultipartParser:
        if not boundary:
            raise Invalid("a form has a boundary", expected="boundary= in its content type")
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_begin": lambda: self._headers.append((bytearray(), bytearray())),
                    "on_header_field": self._header,
                    "on_header_value": self._value,
                    "on_headers_finished": self._part_begins,
                    "on_part_data": self._data,
                    "on_part_end": self._part_ends,
                },
            )
        except (FormParserError, ValueError) as error:
            raise Invalid("the form cannot be read", got=str(error)[:200]) from error

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][0].extend(data[start:end])

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][1].extend(data[start:end])

    def _part_begins(self) -> None:
        self._field_name = ""
        for name, value in self._headers:
            if bytes(name).lower() == b"content-disposition":
                _, options = parse_options_header(bytes(value))
                given = options.get(b"filename")
                if given is None:
                    self._begin_field(options.get(b"name", b"").decode("utf-8", "replace"))
                elif self.file_name is None:
                    self.file_name = given.decode("utf-8", "replace")
                    self._is_inside = True

    def _begin_field(self, name: str) -> None:
        if name not in FIELDS:
            raise Invalid(
                f"the form has a field {name[:80]!r}",
                expected=f"a file, and {' or '.join(FIELDS)}",
            )
        self._field_name = name
        self._fields[name] = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_inside:
            self._ready.extend(memoryview(data)[start:end])
        elif self._field_name:
            held = self._fields[self._field_name]
            held.extend(data[start:end][: LONGEST_FIELD - len(held)])

    def _part_ends(self) -> None:
        self.is_whole = self.is_whole or self._is_inside
        self._is_inside = False
        self._field_name = ""


@asynccontextmanager
async def in_thread(opened: AbstractContextManager[D]) -> AsyncIterator[D]:
    """A context whose beginning and end work on the disk."""
    inside = await to_thread.run_sync(opened.__enter__)
    try:
        yield inside
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(partial(opened.__exit__, *sys.exc_info()))


async def receive_into(
    request: Request, incoming: Incoming, draft: Draft, limit: int, counted: Callable[[int], object]
) -> None:
    """Write the file in a body to a draft, as it comes; `counted` hears of every piece."""
    first = incoming.take()
    if first:
        await to_thread.run_sync(draft.write, first)
    async for piece in request.state.pieces:
        counted(len(piece))
        incoming.feed(piece)
        if draft.size_bytes + incoming.gathered > limit:
            raise too_large(limit, None)
        if incoming.gathered >= GATHERED_BYTES:
            await to_thread.run_sync(draft.write, incoming.take())
    incoming.finish()
    if incoming.gathered:
        await to_thread.run_sync(draft.write, incoming.take())
    if draft.size_bytes > limit:
        raise too_large(limit, draft.size_bytes)


async def name_of(request: Request, incoming: Incoming, given: str | None) -> str:
    """What the file is called: as the query says, the form, or the header Content-Disposition.

    Of a form, as much is read as it takes to know.
    """
    if incoming.is_form:
        async for piece in request.state.pieces:
            incoming.feed(piece)
            if incoming.file_name is not None:
                break
    _, options = parse_options_header(request.headers.get("content-disposition", ""))
    header = options.get(b"filename", b"").decode("utf-8", "replace")
    name = given or incoming.file_name or header
    if not name:
        incoming.finish()
        raise Invalid(
            "the file has no name",
            expected="a form's file, or ?filename=film.mp4",
            got="neither",
        )
    return name
