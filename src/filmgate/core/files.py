"""What a stage promises of a file: its name, its kind, the schema of what is inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel


class FileKind(StrEnum):
    """How a file is laid out."""

    JSON = "json"
    """One document."""
    RECORDS = "records"
    """JSON lines, one record of a model of the stage's own each."""
    ARTIFACTS = "artifacts"
    """JSON lines, one artifact each (`ArtifactLine`)."""
    PARQUET = "parquet"
    """A table."""
    BINARY = "binary"
    """Bytes that nobody here looks into."""


MEDIA_TYPES = {
    FileKind.JSON: "application/json",
    FileKind.RECORDS: "application/x-ndjson",
    FileKind.ARTIFACTS: "application/x-ndjson",
    FileKind.PARQUET: "application/vnd.apache.parquet",
    FileKind.BINARY: "application/octet-stream",
}


@dataclass(frozen=True, kw_only=True)
class FileContract:
    """A file that a stage makes, always under the same name at the run's root."""

    path: str
    key: str
    """What it is called in the manifest and by those who take it in; by default its path without
    the last suffix. No two files of a plan share one."""
    kind: FileKind
    schema: str
    """What the contents are called; for a file of artifacts, their type."""
    schema_version: int = 1
    media_type: str
    model: type[BaseModel] | None = None
    """Of the document, or of each record; those of artifacts are looked up in the registry."""
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Arrow type by name, of the columns that a table must have."""
    min_records: int = 0
    counted_as: str | None = None
    """The count of the stage that is the number of records in this file."""

    @property
    def artifact_type(self) -> str | None:
        """The type of its records, where they are artifacts."""
        return self.schema if self.kind is FileKind.ARTIFACTS else None


def _contract(kind: FileKind, path: str, key: str | None, **facts: Any) -> FileContract:
    """A contract, with what follows from its kind and path."""
    facts.setdefault("media_type", MEDIA_TYPES[kind])
    own = key or path.removesuffix(PurePosixPath(path).suffix)
    return FileContract(path=path, key=own, kind=kind, **facts)


def document(
    path: str, model: type[BaseModel], *, schema: str, version: int = 1, key: str | None = None
) -> FileContract:
    """A JSON document read by `model`."""
    return _contract(
        FileKind.JSON,
        path,
        key,
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
    """JSON lines, each read by `model`."""
    return _contract(
        FileKind.RECORDS,
        path,
        key,
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
    """A file of artifacts of one type."""
    return _contract(
        FileKind.ARTIFACTS,
        path,
        key,
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
    """A table with at least these columns, of these Arrow types (`int64`, `string`)."""
    return _contract(
        FileKind.PARQUET,
        path,
        key,
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
    """A file that is kept and handed on by its digest alone: a picture, a PDF, an array."""
    return _contract(
        FileKind.BINARY,
        path,
        key,
        media_type=media_type,
        schema=schema,
        schema_version=version,
    )
