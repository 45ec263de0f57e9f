"""Read files of a run; verify their bytes against the manifest, then their contents."""

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotFound, first_fault, json_pointer
from filmgate.core.gates import ReasonCode
from filmgate.core.manifest import Manifest
from filmgate.core.ports import RunFiles
from filmgate.core.records import ArtifactRef
from filmgate.core.summaries import Document, Summary, SummaryRows

LARGEST_DOCUMENT_BYTES = 1 << 30
"""Maximum size of a document that is read into memory, in bytes. The chunks of a book of 400 pages
have seven megabytes, the screen times of 1000 people one."""


class VerifiedRun:
    """Implementation of the port `FinishedRun`; remembers which files were read."""

    def __init__(self, files: RunFiles, manifest: Manifest) -> None:
        self.manifest = manifest
        self.read_refs: list[ArtifactRef] = []
        self._files = files

    def find(self, schema: str) -> ArtifactRef | None:
        """Return the file with a schema; None if the run did not make it."""
        return self.manifest.first_file_with_schema(schema)

    def read(
        self,
        schema: str,
        model: type[Document],
        *,
        versions: Sequence[int] = (1,),
        is_strict: bool = False,
    ) -> Document:
        """Return the document with a schema, verified against the manifest and its contract."""
        ref = self._require(schema, versions)
        return _parse(ref, read_file(self._files, ref), model, is_strict=is_strict)

    def read_lines(self, schema: str, model: type[Document]) -> list[Document]:
        """Return the records of the file with a schema, verified like a document."""
        ref = self._require(schema, (1,))
        lines = read_file(self._files, ref).splitlines()
        return [_parse(ref, line, model) for line in lines]

    def _require(self, schema: str, versions: Sequence[int]) -> ArtifactRef:
        ref = self.find(schema)
        if ref is None:
            raise NotFound(f"run {self.manifest.run_id} has no file {schema}")
        if ref.schema_version not in versions:
            raise mismatch_error(
                ref,
                ReasonCode.SCHEMA_VERSION_UNSUPPORTED,
                f"{schema} version {versions[-1]}",
                f"version {ref.schema_version}",
                found=ref.schema_version,
                supported=list(versions),
            )
        self.read_refs.append(ref)
        return ref


def _parse(
    ref: ArtifactRef, data: bytes, model: type[Document], *, is_strict: bool = False
) -> Document:
    try:
        return model.model_validate_json(data, strict=is_strict or None)
    except ValidationError as error:
        raise mismatch_error(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"{ref.schema_name} version {ref.schema_version}",
            first_fault(error),
            json_pointer=json_pointer(error),
        ) from error


def read_summaries(
    files: RunFiles, manifest: Manifest, summaries: Iterable[Summary]
) -> tuple[SummaryRows, ...]:
    """Read the summaries of a run. Raises Invalid if a file does not match the manifest."""
    found = []
    for summary in summaries:
        run = VerifiedRun(files, manifest)
        write = summary.read(run)
        if write is not None:
            rows = SummaryRows(
                files=tuple(run.read_refs), write=write, is_for_products=summary.is_for_products
            )
            found.append(rows)
    return tuple(found)


def read_file(files: RunFiles, ref: ArtifactRef) -> bytes:
    """Return the bytes of a file.

    Raises Invalid if the file is missing, is too large, or does not match the manifest.
    """
    if ref.size_bytes > LARGEST_DOCUMENT_BYTES:
        raise mismatch_error(
            ref,
            ReasonCode.SCHEMA_INVALID,
            f"at most {LARGEST_DOCUMENT_BYTES} bytes",
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
        hint="Restore the file, or make it again in a new run",
        reason=reason.value,
        path=ref.path,
        artifact_key=ref.key,
        **details,
    )
