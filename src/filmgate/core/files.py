"""File contracts: the name, kind and schema of a file that a stage makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from pydantic import BaseModel


class FileKind(StrEnum):
    """Format of a file."""

    JSON = "json"
    """One JSON document."""
    RECORDS = "records"
    """JSON lines; each is a record of a model that the stage defines."""
    ARTIFACTS = "artifacts"
    """JSON lines; each is an artifact (`ArtifactLine`)."""
    PARQUET = "parquet"
    """A Parquet table."""
    BINARY = "binary"
    """Bytes that are not parsed."""


MEDIA_TYPES = {
    FileKind.JSON: "application/json",
    FileKind.RECORDS: "application/x-ndjson",
    FileKind.ARTIFACTS: "application/x-ndjson",
    FileKind.PARQUET: "application/vnd.apache.parquet",
    FileKind.BINARY: "application/octet-stream",
}


@dataclass(frozen=True, kw_only=True)
class FileContract:
    """Declaration of a file that a stage makes."""

    path: str
    """Path relative to the run's root; the same in every run."""
    key: str
    """Key of the file in the manifest and for consumers; by default its path without the last
    suffix. Unique in a plan."""
    kind: FileKind
    schema: str
    """Name of the schema; for a file of artifacts, their type."""
    schema_version: int = 1
    media_type: str
    model: type[BaseModel] | None = None
    """Model of the document or of each record; models of artifacts are in the registry."""
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Columns that a table must have: Arrow type by name."""
    min_records: int = 0
    counted_as: str | None = None
    """Name of the stage's count that equals the number of records in this file."""

    @property
    def artifact_type(self) -> str | None:
        """Artifact type of the file's records; None if they are not artifacts."""
        return self.schema if self.kind is FileKind.ARTIFACTS else None


def _default_key(path: str) -> str:
    return path.removesuffix(PurePosixPath(path).suffix)


def document(
    path: str, model: type[BaseModel], *, schema: str, version: int = 1, key: str | None = None
) -> FileContract:
    """Declare a JSON document that `model` validates."""
    return FileContract(
        path=path,
        key=key or _default_key(path),
        kind=FileKind.JSON,
        media_type=MEDIA_TYPES[FileKind.JSON],
        schema=schema,
        schema_version=version,
        model=model,
    )


def records(
    path: str,
    model: type[BaseModel],
    *,
    schema: str,
    version: int = 1,
    min_records: int = 0,
    counted_as: str | None = None,
    key: str | None = None,
) -> FileContract:
    """Declare a file of JSON lines, each of which `model` validates."""
    return FileContract(
        path=path,
        key=key or _default_key(path),
        kind=FileKind.RECORDS,
        media_type=MEDIA_TYPES[FileKind.RECORDS],
        schema=schema,
        schema_version=version,
        model=model,
        min_records=min_records,
        counted_as=counted_as,
    )


def artifacts(
    path: str,
    artifact_type: str,
    *,
    version: int = 1,
    min_records: int = 0,
    counted_as: str | None = None,
    key: str | None = None,
) -> FileContract:
    """Declare a file of artifacts of one type."""
    return FileContract(
        path=path,
        key=key or _default_key(path),
        kind=FileKind.ARTIFACTS,
        media_type=MEDIA_TYPES[FileKind.ARTIFACTS],
        schema=artifact_type,
        schema_version=version,
        min_records=min_records,
        counted_as=counted_as,
    )


def parquet(
    path: str,
    *,
    schema: str,
    columns: Mapping[str, str],
    version: int = 1,
    min_records: int = 0,
    counted_as: str | None = None,
    key: str | None = None,
) -> FileContract:
    """Declare a Parquet table that has at least `columns`: Arrow type, such as `int64`, by name."""
    return FileContract(
        path=path,
        key=key or _default_key(path),
        kind=FileKind.PARQUET,
        media_type=MEDIA_TYPES[FileKind.PARQUET],
        schema=schema,
        schema_version=version,
        columns=dict(columns),
        min_records=min_records,
        counted_as=counted_as,
    )


def binary(
    path: str,
    *,
    schema: str,
    version: int = 1,
    media_type: str = MEDIA_TYPES[FileKind.BINARY],
    key: str | None = None,
) -> FileContract:
    """Declare a file that is verified by its digest alone: a picture, a PDF, an array."""
    return FileContract(
        path=path,
        key=key or _default_key(path),
        kind=FileKind.BINARY,
        media_type=media_type,
        schema=schema,
        schema_version=version,
    )
