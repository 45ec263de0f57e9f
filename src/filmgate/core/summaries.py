"""Summaries: rows that a pipeline makes of a finished run, in the pipeline's tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from pydantic import BaseModel

from filmgate.core.database import WriteSession
from filmgate.core.manifest import Manifest
from filmgate.core.records import ArtifactRef

Document = TypeVar("Document", bound=BaseModel)


class FinishedRun(Protocol):
    """The files of a finished run."""

    @property
    def manifest(self) -> Manifest:
        """The manifest of the run."""

    def find(self, schema: str) -> ArtifactRef | None:
        """Return the file with a schema; None if the run did not make it."""

    def read(
        self,
        schema: str,
        model: type[Document],
        *,
        versions: Sequence[int] = (1,),
        is_strict: bool = False,
    ) -> Document:
        """Return the document with a schema, verified against the manifest.

        `is_strict`: accept only JSON values of the declared types. Raises NotFound if the run did
        not make it, Invalid if the file does not match the manifest, has another schema version
        than `versions`, or breaks its contract.
        """

    def read_lines(self, schema: str, model: type[Document]) -> list[Document]:
        """Return the records, one per line, of the file with a schema, verified like a document."""


WriteRows = Callable[[WriteSession], Mapping[str, int]]
"""Writes the rows of a run in the transaction of its ingest; returns their numbers by table.

Earlier rows of the run are replaced. Called with the same run again, it changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Rows in tables of a pipeline, made of the files of a finished run."""

    read: Callable[[FinishedRun], WriteRows | None]
    """Read a run; return what writes its rows, or None if it has none. Raises Invalid."""
    is_for_products: bool = False
    """Whether consumers write these rows, too, that ingest only summaries and no artifacts. The
    row of the run in `screenalytics.runs` exists then, and earlier rows of the run refer to it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What reports of a run call its rows, by table, in the plural. Rows of other tables are not
    reported; a label of several words is left out if the number is zero."""
    rebuild: Callable[[WriteSession], Mapping[str, int]] | None = None
    """Rebuild what is derived from the rows; return the numbers of rows by table."""


@dataclass(frozen=True, kw_only=True)
class SummaryRows:
    """The rows of a summary, read and not yet written."""

    files: tuple[ArtifactRef, ...]
    """The files that were read."""
    write: WriteRows
    is_for_products: bool


SummariesOf = Callable[[str], Sequence[Summary]]
"""Returns the summaries of a pipeline by its name; none for a pipeline that is not installed."""


def no_summaries(_pipeline: str) -> Sequence[Summary]:
    """Return no summaries."""
    return ()
