"""Read files of a run; verify their bytes against the manifest, then their contents."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, first_fault, json_pointer
from filmgate.core.gates import ReasonCode
from filmgate.core.manifest import Manifest
from filmgate.core.ports import RunFiles
from filmgate.core.records import ArtifactRef
from filmgate.core.screentime import SCREENTIME, ScreenTime

Value = TypeVar("Value")
Document = TypeVar("Document", bound=BaseModel)

LARGEST_SUMMARY_BYTES = 64 << 20
"""Maximum size of a summary, in bytes, as it is read into memory; 1000 people need a megabyte."""

LARGEST_DOCUMENT_BYTES = 1 << 30
"""Maximum size of a document of the corpus, in bytes, as it is read into memory. The chunks of a
book of 400 pages have seven megabytes."""

SCREENTIME_VERSIONS = (1,)
"""Supported schema versions of the screen-time summary."""


def read_screentime(files: RunFiles, manifest: Manifest) -> ScreenTime | None:
    """Read the screen time of all people; None if the run did not measure it.

    Raises Invalid if the file is missing, has other bytes, has an unsupported version, or breaks
    its contract.
    """
    ref = manifest.first_file_with_schema(SCREENTIME)
    if ref is None:
        return None
    if ref.schema_version not in SCREENTIME_VERSIONS:
        raise mismatch_error(
            ref,
            ReasonCode.SCHEMA_VERSION_UNSUPPORTED,
            f"{SCREENTIME} version {SCREENTIME_VERSIONS[-1]}",
            f"version {ref.schema_version}",
            found=ref.schema_version,
            supported=list(SCREENTIME_VERSIONS),
        )
    return _parse(ref, read_file(files, ref), partial(ScreenTime.model_validate_json, strict=True))


def read_document(files: RunFiles, ref: ArtifactRef, model: type[Document]) -> Document:
    """Read a document of the corpus. Raises Invalid unless it matches manifest and contract."""
    data = read_file(files, ref, largest_bytes=LARGEST_DOCUMENT_BYTES)
    return _parse(ref, data, model.model_validate_json)


def read_file(
    files: RunFiles, ref: ArtifactRef, *, largest_bytes: int = LARGEST_SUMMARY_BYTES
) -> bytes:
    """Return the bytes of a file.

    Raises Invalid if the file is missing, is too large, or does not match the manifest.
    """
    if ref.size_bytes > largest_bytes:
        raise mismatch_error(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"at most {largest_bytes} bytes",
            f"{ref.size_bytes} bytes",
        )
    try:
        with files.open(ref.path) as file:
            data = file.read(ref.size_bytes + 1)
    except FileNotFoundError as error:
        raise missing_file_error(ref) from error
    if len(data) != ref.size_bytes or sha256_hex(data) != ref.sha256:
        size = f"more than {ref.size_bytes}" if len(data) > ref.size_bytes else str(len(data))
        got = f"{size} bytes, sha256 {sha256_hex(data)}"
        expected = f"{ref.size_bytes} bytes, sha256 {ref.sha256}"
        raise mismatch_error(ref, ReasonCode.DIGEST_MISMATCH, expected, got)
    return data


def check_file(files: RunFiles, ref: ArtifactRef) -> None:
    """Verify the digest of a file that is not ingested. Raises Invalid if it does not match."""
    facts = files.facts(ref.path)
    if facts is None:
        raise missing_file_error(ref)
    if facts.sha256 != ref.sha256:
        expected = f"sha256 {ref.sha256}"
        raise mismatch_error(ref, ReasonCode.DIGEST_MISMATCH, expected, f"sha256 {facts.sha256}")


def _parse(ref: ArtifactRef, data: bytes, parse: Callable[[bytes], Value]) -> Value:
    try:
        return parse(data)
    except ValidationError as error:
        raise mismatch_error(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"{ref.schema_name} version {ref.schema_version}",
            first_fault(error),
            json_pointer=json_pointer(error),
        ) from error


def missing_file_error(ref: ArtifactRef) -> Invalid:
    """Return the error for a file that is named in the manifest and does not exist."""
    expected = f"a file, sha256 {ref.sha256}"
    return mismatch_error(ref, ReasonCode.MISSING_ARTIFACT, expected, "no file")


def mismatch_error(
    ref: ArtifactRef, reason: ReasonCode, expected: str, got: str, **details: object
) -> Invalid:
    """Return the error for a file that does not match the manifest or its contract."""
    return Invalid(
        f"{ref.path} does not match the manifest",
        expected=expected,
        got=got,
        hint="Restore the file, or make it again in a new run; nothing was ingested",
        reason=reason.value,
        path=ref.path,
        artifact_key=ref.key,
        **details,
    )
