"""Responses with a file or one byte range of it (RFC 9110, section 14).

Browsers display files of the types in `INLINE_TYPES`, under a content security policy that allows
their viewers to load the file but allows no scripts. Files of other types are downloaded.
"""

import os
import re
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from anyio import to_thread
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from filmgate.api.responses import is_cached_by_client
from filmgate.core.errors import NotFound, RangeUnsatisfiable

CHUNK_BYTES = 256 * 1024
"""Number of bytes to read at a time from a file that is sent."""

BINARY = "application/octet-stream"

MEDIA_TYPES = {
    ".3gp": "video/3gpp",
    ".avi": "video/x-msvideo",
    ".m2ts": "video/mp2t",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".ogv": "video/ogg",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mka": "audio/x-matroska",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".weba": "audio/webm",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""Media types by file suffix. Uploaders choose the suffix, so only inline types are listed."""

INLINE_TYPES = frozenset({*MEDIA_TYPES.values(), "application/pdf"})
"""Media types that a browser may display at the origin of the service. They exclude types that can
run scripts: HTML, SVG and all other XML types."""

_RESTRICTIONS = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
INLINE_POLICY = (
    "default-src 'none'; media-src 'self'; img-src 'self'; object-src 'self'; "
    f"style-src 'unsafe-inline'; {_RESTRICTIONS}"
)
"""Content security policy of inline files. A browser's viewer requests the file again from the same
origin and styles the page around it. `sandbox` would prevent that: an opaque origin sends no
session cookie and may not read the response."""

ATTACHMENT_POLICY = f"default-src 'none'; {_RESTRICTIONS}; sandbox"
"""Content security policy of downloads. A browser that displays one in spite of its headers runs
none of its scripts and gives it an opaque origin."""

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\Z")


@dataclass(frozen=True, kw_only=True)
class ByteRange:
    """Bytes [start, end) of a file."""

    start: int
    end: int


def media_type_of(path: Path) -> str:
    """Return the media type that a file's suffix names, or `application/octet-stream`."""
    return MEDIA_TYPES.get(path.suffix.lower(), BINARY)


def file_response(
    request: Request, path: Path, *, size: int, sha256: str, media_type: str, name: str
) -> Response:
    """Return a response with a file of known size and digest; symbolic links are not followed.

    A media type outside `INLINE_TYPES` is sent as a sandboxed attachment of type
    `application/octet-stream`. Several ranges in one request are answered with the whole file, as
    the standard allows.
    """
    tag = f'"{sha256}"'
    media_type = media_type.partition(";")[0].strip().lower()
    is_inline = media_type in INLINE_TYPES
    if not is_inline:
        media_type = BINARY
    disposition = "inline" if is_inline else "attachment"
    headers = {
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": (
            f"{disposition}; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
        ),
        "content-security-policy": INLINE_POLICY if is_inline else ATTACHMENT_POLICY,
    }
    if is_cached_by_client(request, tag):
        return Response(status_code=304, headers=headers)
    is_head = getattr(request.state, "is_head", False)
    range_header = request.headers.get("range") if not is_head else None
    is_unchanged = request.headers.get("if-range", tag) == tag
    part = _parse_range(range_header, size) if range_header is not None and is_unchanged else None
    status = 206 if part is not None else 200
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    part = part or ByteRange(start=0, end=size)
    headers["content-length"] = str(part.end - part.start)
    if is_head:
        return Response(status_code=status, headers=headers, media_type=media_type)
    chunks = _read_chunks(_open_file(path, size), part)
    return StreamingResponse(chunks, status, headers, media_type)


def _parse_range(range_header: str, size: int) -> ByteRange | None:
    """Return the requested range; None if the whole file must be sent.

    The whole file is sent for several ranges, units other than bytes, and malformed ranges. Raises
    RangeUnsatisfiable for a range outside the file.
    """
    if "," in range_header or not range_header.startswith("bytes="):
        return None
    found = _RANGE.match(range_header.replace(" ", ""))
    if found is None or (found[2] and int(found[2]) < int(found[1])):
        return None
    if found[3] is not None:
        part = ByteRange(start=max(0, size - int(found[3])), end=size)
    else:
        end = int(found[2]) + 1 if found[2] else size
        part = ByteRange(start=int(found[1]), end=min(size, end))
    if part.start >= part.end:
        raise _unsatisfiable(range_header, size)
    return part


def _unsatisfiable(range_header: str, size: int) -> RangeUnsatisfiable:
    return RangeUnsatisfiable(
        "the range is outside the file",
        expected=f"a range of its {size} bytes",
        got=range_header[:80],
        size=size,
    )


def _open_file(path: Path, size: int) -> BinaryIO:
    """Open a file; raises NotFound if it is not a regular file of that size."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise NotFound("the file no longer exists", expected=path.name) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        os.close(descriptor)
        raise NotFound("the file has changed", expected=f"{path.name} of {size} bytes")
    return os.fdopen(descriptor, "rb")


async def _read_chunks(file: BinaryIO, part: ByteRange) -> AsyncIterator[bytes]:
    offset = part.start
    with file:
        while offset < part.end:
            length = min(CHUNK_BYTES, part.end - offset)
            chunk = await to_thread.run_sync(os.pread, file.fileno(), length, offset)
            if not chunk:
                raise OSError("the file became shorter while it was sent")
            offset += len(chunk)
            yield chunk
