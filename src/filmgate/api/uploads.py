"""Uploads: stream a request body to disk, as plain bytes or as the file of a multipart form."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

from anyio import CancelScope, to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from filmgate.api.limits import IDLE_S, too_large
from filmgate.core.errors import Invalid, TooSlow, UnsupportedMedia

NO_FILES = {b"application/x-www-form-urlencoded", b"application/json"}
"""Content types of bodies that do not contain a file."""

FIELDS = ("asset_id",)
"""Fields that a form may contain in addition to its file."""

MAX_FIELD_BYTES = 1000
"""Maximum number of bytes of a form field that are read; the rest is dropped."""

MIN_BYTES_PER_S, GRACE_S = 1000, 60.0
"""Lowest average rate of an upload, and the time after which it is enforced, in seconds."""

D = TypeVar("D")

BUFFER_BYTES = 1 << 20
"""Number of bytes to collect before a write; one thread call per small chunk would be slow."""


async def body_chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the chunks of a request body of up to about `limit` bytes.

    Raises TooLarge, and TooSlow if no chunk arrives for `IDLE_S` or the average rate is below
    `MIN_BYTES_PER_S`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit + BUFFER_BYTES:
        raise too_large(limit, int(announced))
    total, started = 0, time.monotonic()
    stream = request.stream().__aiter__()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), IDLE_S)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TooSlow(
                "the upload has stalled", expected=f"a chunk within {IDLE_S:g} s"
            ) from None
        total += len(chunk)
        elapsed_s = time.monotonic() - started
        if elapsed_s > GRACE_S and total < MIN_BYTES_PER_S * elapsed_s:
            raise TooSlow(
                "the upload is too slow",
                expected=f"{MIN_BYTES_PER_S} bytes a second or more",
                got=f"{total / elapsed_s:.0f}",
            )
        if total > limit + BUFFER_BYTES:
            raise too_large(limit, None)
        yield chunk


class IncomingFile:
    """Extracts the file from a body: the whole body, or the only file of a multipart form."""

    def __init__(self, content_type: str, *, is_named: bool) -> None:
        """`is_named`: whether the query contains the file name. If so, plain bytes may have the
        content type that curl sends by default."""
        media_type, options = parse_options_header(content_type)
        self.file_name: str | None = None
        self.is_complete = False
        """Whether the file of a form has arrived completely."""
        self._buffer = bytearray()
        self._form: MultipartParser | None = None
        self._headers: list[tuple[bytearray, bytearray]] = []
        self._is_in_file = False
        self._field_name = ""
        self._fields: dict[str, bytearray] = {}
        if media_type == b"multipart/form-data":
            self._form = self._parser(options.get(b"boundary", b""))
        elif media_type in NO_FILES and not is_named:
            raise UnsupportedMedia(
                "the body is not a file",
                expected="multipart/form-data with a file, or the file's bytes and ?filename=",
                got=media_type.decode("latin-1"),
                hint="Use curl -F file=@film.mp4, or --data-binary @film.mp4 with "
                "?filename=film.mp4",
            )

    @property
    def is_form(self) -> bool:
        """Whether the body is a multipart form."""
        return self._form is not None

    @property
    def buffered_bytes(self) -> int:
        """Number of bytes of the file that `take` would return."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes of the body; raises Invalid if the form is malformed."""
        if self._form is None:
            self._buffer += chunk
            return
        try:
            self._form.write(chunk)
        except FormParserError as error:
            raise Invalid("the form cannot be read", got=str(error)[:200]) from error

    def finish(self) -> None:
        """Check at the end of the body that the file is complete; raise Invalid if it is not."""
        if self._form is not None and not self.is_complete:
            raise Invalid(
                "the file in the form is missing or incomplete",
                expected="a complete part with a filename",
                got="an incomplete part" if self.file_name else "no part with a filename",
                hint="Use curl -F file=@film.mp4",
            )

    def take(self) -> bytes:
        """Return the bytes of the file that arrived since the last call."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def field(self, name: str) -> str | None:
        """Return the value of a form field that is not a file; None if it is missing."""
        value = self._fields.get(name)
        return value.decode("utf-8", "replace") if value is not None else None

    def _parser(self, boundary: bytes) -> MultipartParser:
        if not boundary:
            raise Invalid(
                "the boundary of the form is missing", expected="boundary= in its content type"
            )
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_begin": lambda: self._headers.append((bytearray(), bytearray())),
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                },
            )
        except (FormParserError, ValueError) as error:
            raise Invalid("the form cannot be read", got=str(error)[:200]) from error

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][1].extend(data[start:end])

    def _on_headers_finished(self) -> None:
        self._field_name = ""
        for name, value in self._headers:
            if bytes(name).lower() == b"content-disposition":
                _, options = parse_options_header(bytes(value))
                file_name = options.get(b"filename")
                if file_name is None:
                    self._start_field(options.get(b"name", b"").decode("utf-8", "replace"))
                elif self.file_name is not None:
                    raise Invalid("the form has a second file", expected="one file")
                else:
                    self.file_name = file_name.decode("utf-8", "replace")
                    self._is_in_file = True

    def _start_field(self, name: str) -> None:
        if name not in FIELDS:
            raise Invalid(
                f"the form field {name[:80]!r} is unknown",
                expected=f"a file, and {' or '.join(FIELDS)}",
            )
        if name in self._fields:
            raise Invalid(f"the form field {name!r} is repeated", expected="one value")
        self._field_name = name
        self._fields[name] = bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_in_file:
            self._buffer.extend(memoryview(data)[start:end])
        elif self._field_name:
            value = self._fields[self._field_name]
            value.extend(data[start:end][: MAX_FIELD_BYTES - len(value)])

    def _on_part_end(self) -> None:
        self.is_complete = self.is_complete or self._is_in_file
        self._is_in_file = False
        self._field_name = ""


@asynccontextmanager
async def in_thread(context: AbstractContextManager[D]) -> AsyncIterator[D]:
    """Enter and exit a context manager in a worker thread, because it does disk I/O."""
    value = await to_thread.run_sync(context.__enter__)
    try:
        yield value
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(partial(context.__exit__, *sys.exc_info()))


class FileDraft(Protocol):
    """A file that is being written."""

    @property
    def size_bytes(self) -> int:
        """Number of bytes that were written."""

    def write(self, chunk: bytes) -> None:
        """Append bytes."""


async def receive_into(
    request: Request,
    incoming: IncomingFile,
    draft: FileDraft,
    limit: int,
    count: Callable[[int], object],
) -> None:
    """Write the file in a request body to a draft; the file may have up to `limit` bytes.

    `count` is called with the number of bytes of each chunk. Raises TooLarge, TooSlow, Invalid.
    """
    first = incoming.take()
    if first:
        await to_thread.run_sync(draft.write, first)
    async for chunk in request.state.body_chunks:
        count(len(chunk))
        incoming.feed(chunk)
        if draft.size_bytes + incoming.buffered_bytes > limit:
            raise too_large(limit, None)
        if incoming.buffered_bytes >= BUFFER_BYTES:
            await to_thread.run_sync(draft.write, incoming.take())
    incoming.finish()
    if incoming.buffered_bytes:
        await to_thread.run_sync(draft.write, incoming.take())
    if draft.size_bytes > limit:
        raise too_large(limit, draft.size_bytes)


async def read_file_name(request: Request, incoming: IncomingFile, query_name: str | None) -> str:
    """Return the file name from the query, the form, or the header Content-Disposition.

    A form is read up to the headers of its file part. Raises Invalid if all three lack a name.
    """
    if incoming.is_form:
        async for chunk in request.state.body_chunks:
            incoming.feed(chunk)
            if incoming.file_name is not None:
                break
    _, options = parse_options_header(request.headers.get("content-disposition", ""))
    header_name = options.get(b"filename", b"").decode("utf-8", "replace")
    name = query_name or incoming.file_name or header_name
    if not name:
        incoming.finish()
        raise Invalid(
            "the name of the file is missing",
            expected="a form's file, or ?filename=film.mp4",
            got="neither",
        )
    return name
