"""Reading a run's files, each held against the manifest: its bytes first, then its contract."""

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
"""A summary is read into memory; of a thousand people it has a megabyte."""

LARGEST_DOCUMENT_BYTES = 1 << 30
"""Likewise; the chunks of a book of 400 pages have seven megabytes."""

SCREENTIME_VERSIONS = (1,)


def read_screentime(files: RunFiles, manifest: Manifest) -> ScreenTime | None:
    """Everybody's screen time; None where the run did not measure it.

    Raises Invalid where the file is not there, has other bytes, is of a version unknown here, or
    breaks its contract.
    """
    ref = manifest.the_file_of(SCREENTIME)
    if ref is None:
        return None
    if ref.schema_version not in SCREENTIME_VERSIONS:
        raise broken_file(
            ref,
            ReasonCode.SCHEMA_VERSION_UNSUPPORTED,
            f"{SCREENTIME} version {SCREENTIME_VERSIONS[-1]}",
            f"version {ref.schema_version}",
            found=ref.schema_version,
            supported=list(SCREENTIME_VERSIONS),
        )
    return _parsed(ref, read_file(files, ref), partial(ScreenTime.model_validate_json, strict=True))


def read_document(files: RunFiles, ref: ArtifactRef, model: type[Document]) -> Document:
    """A document of a corpus, or Invalid."""
    data = read_file(files, ref, largest_bytes=LARGEST_DOCUMENT_BYTES)
    return _parsed(ref, data, model.model_validate_json)


def read_file(
    files: RunFiles, ref: ArtifactRef, *, largest_bytes: int = LARGEST_SUMMARY_BYTES
) -> bytes:
    """The bytes that the manifest names, or Invalid."""
    if ref.size_bytes > largest_bytes:
        raise broken_file(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"at most {largest_bytes} bytes",
            f"{ref.size_bytes} bytes",
        )
    try:
        with files.open(ref.path) as file:
            data = file.read(ref.size_bytes + 1)
    except FileNotFoundError as error:
        raise missing_file(ref) from error
    if len(data) != ref.size_bytes or sha256_hex(data) != ref.sha256:
        size = f"more than {ref.size_bytes}" if len(data) > ref.size_bytes else str(len(data))
        got = f"{size} bytes, sha256 {sha256_hex(data)}"
        expected = f"{ref.size_bytes} bytes, sha256 {ref.sha256}"
        raise broken_file(ref, ReasonCode.DIGEST_MISMATCH, expected, got)
    return data


def check_file(files: RunFiles, ref: ArtifactRef) -> None:
    """Hold a file that is only stood on against the manifest, or raise Invalid."""
    facts = files.facts(ref.path)
    if facts is None:
        raise missing_file(ref)
    if facts.sha256 != ref.sha256:
        expected = f"sha256 {ref.sha256}"
        raise broken_file(ref, ReasonCode.DIGEST_MISMATCH, expected, f"sha256 {facts.sha256}")


def _parsed(ref: ArtifactRef, data: bytes, parse: Callable[[bytes], Value]) -> Value:
    try:
        return parse(data)
    except ValidationError as error:
        raise broken_file(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"{ref.schema_name} version {ref.schema_version}",
            first_fault(error),
            json_pointer=json_pointer(error),
        ) from error


def missing_file(ref: ArtifactRef) -> Invalid:
    """A file that the manifest names is not there."""
    expected = f"a file, sha256 {ref.sha256}"
    return broken_file(ref, ReasonCode.MISSING_ARTIFACT, expected, "no file")


def broken_file(
    ref: ArtifactRef, reason: ReasonCode, expected: str, got: str, **details: object
) -> Invalid:
    """A file is not what the manifest, or its contract, says."""
    return Invalid(
        f"{ref.path} is not what the manifest says",
        expected=expected,
        got=got,
        hint="Nothing was taken over. Restore the file, or make it again where it was made",
        reason=reason.value,
        path=ref.path,
        artifact_key=ref.key,
        **details,
    )
