"""Read a file in parts for an upload, and verify its digest before the last part."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from filmgate.core.errors import Invalid

PART_BYTES = 8 << 20
"""Size of one part of a multipart upload, in bytes."""


def read_verified_parts(path: Path, sha256: str | None) -> Iterator[bytes]:
    """Yield the parts of a file; raise FileChanged if its digest is not `sha256`.

    The last part is yielded only after the check, so that a failed upload creates no object.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        part = file.read(PART_BYTES)
        while following := file.read(PART_BYTES):
            digest.update(part)
            yield part
            part = following
        digest.update(part)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise FileChanged(path.name)
    yield part


class FileChanged(Invalid):
    """A file changed between the computation of its digest and the upload."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} changed during the upload",
            expected="the digest in the manifest",
            got="another digest",
            hint="Restore the file; no object was created from it",
        )
