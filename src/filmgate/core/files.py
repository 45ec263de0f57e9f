"""What a stage promises of a file: its name, its kind, the schema of what is inside."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from pydantic import BaseModel


class FileKind(StrEnum):
    """How a file is laid out."""

    JSON = "application/json"
    """One document."""
    ARTIFACTS = "application/x-ndjson"
    """One artifact a line (`ArtifactLine`)."""


@dataclass(frozen=True, kw_only=True)
class FileContract:
    """A file that a stage makes, always under the same name at the run's root."""

    path: str
    kind: FileKind
    schema: str
    """What the document is called; for a file of artifacts, their type."""
    schema_version: int = 1
    model: type[BaseModel] | None = None
    """The document's model; the records of an artifact file are looked up in the registry."""
    min_records: int = 0

    @property
    def key(self) -> str:
        """The artifact key: the path without its suffix."""
        return str(PurePosixPath(self.path).with_suffix(""))

    @property
    def artifact_type(self) -> str | None:
        """The type of its records, where they are artifacts."""
        return self.schema if self.kind is FileKind.ARTIFACTS else None


def document(path: str, model: type[BaseModel], *, schema: str, version: int = 1) -> FileContract:
    """A JSON document read by `model`."""
    return FileContract(
        path=path, kind=FileKind.JSON, schema=schema, schema_version=version, model=model
    )


def artifacts(
    path: str, artifact_type: str, *, version: int = 1, min_records: int = 0
) -> FileContract:
    """A file of artifacts of one type."""
    return FileContract(
        path=path,
        kind=FileKind.ARTIFACTS,
        schema=artifact_type,
        schema_version=version,
        min_records=min_records,
    )
