"""Files as responses: whole, or one range of them (RFC 9110, 14)."""

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

from filmgate.api.answering import is_known
from filmgate.core.errors import NotFound, RangeUnsatisfiable

PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\Z")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Bytes [start, end) of a file."""

    start: int
    end: int


def file_response(
    request: Request,
    path: Path,
    *,
    size: int,
    sha256: str,
    media_type: str,
    name: str,
    is_inline: bool = True,
) -> Response:
    """A file, of which the size and digest are known; links are not followed.

    Several ranges in one request are answered with the whole file, as the standard allows.
    """
    tag = f'"{sha256}"'
    how = "inline" if is_inline else "attachment"
    headers = {
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": f"{how}; filename*=UTF-8''{quote(name, safe='')}",
        "content-security-policy": "sandbox",
    }
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    is_head = getattr(request.state, "is_head", False)
    asked = request.headers.get("range") if not is_head else None
    is_same = request.headers.get("if-range", tag) == tag
    part = _part(asked, size) if asked is not None and is_same else None
    status = 206 if part is not None else 200
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    part = part or Part(start=0, end=size)
    headers["content-length"] = str(part.end - part.start)
    if is_head:
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_pieces(_opened(path, size), part), status, headers, media_type)


def _part(asked: str, size: int) -> Part | None:
    """What is asked for; None where all of it is to be sent."""
    if "," in asked or not asked.startswith("bytes="):
        return None
    found = _RANGE.match(asked.replace(" ", ""))
    if found is None:
        return None  # what is no range is passed over
    if found[3] is not None:
        part = Part(start=max(0, size - int(found[3])), end=size)
    else:
        end = int(found[2]) + 1 if found[2] else size
        part = Part(start=int(found[1]), end=min(size, end))
    if part.start >= part.end:
        raise _unsatisfiable(asked, size)
    return part


def _unsatisfiable(asked: str, size: int) -> RangeUnsatisfiable:
    return RangeUnsatisfiable(
        "the file has no such part",
        expected=f"some of its {size} bytes",
        got=asked[:80],
        size=size,
    )


def _opened(path: Path, size: int) -> BinaryIO:
    """The file; NotFound where it is not the regular one that is meant."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise NotFound("the file is gone", expected=path.name) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        os.close(descriptor)
        raise NotFound("the file is not what it was", expected=f"{path.name} of {size} bytes")
    return os.fdopen(descriptor, "rb")


async def _pieces(file: BinaryIO, part: Part) -> AsyncIterator[bytes]:
    at = part.start
    with file:
        while at < part.end:
            length = min(PIECE_BYTES, part.end - at)
            piece = await to_thread.run_sync(os.pread, file.fileno(), length, at)
            if not piece:
                raise OSError("the file became shorter while it was sent")
            at += len(piece)
            yield piece
