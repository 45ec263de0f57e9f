"""The ports: what the core needs done, and what whoever does it promises."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from filmgate.core.answers import FindAnswer, JumpAnswer, Receipt
from filmgate.core.envelope import ArtifactLine, Envelope
from filmgate.core.files import FileContract
from filmgate.core.gates import FileFacts, Verdict
from filmgate.core.ids import AssetId
from filmgate.core.manifest import Ledger, Manifest
from filmgate.core.payloads.payload import Payload
from filmgate.core.plan import Producer
from filmgate.core.questions import Direction, JumpKind
from filmgate.core.records import ArtifactRef, RunHead, StageRecord
from filmgate.core.states import StageState

Clock = Callable[[], datetime]
"""Says the time, aware and in UTC."""

Document = TypeVar("Document", bound=BaseModel)


class Timed(NamedTuple):
    """A payload and when it holds, in ms on the asset's time line."""

    start_ms: int
    end_ms: int
    payload: Payload

    @property
    def place(self) -> tuple[int, int, bytes]:
        """What orders the records of a file: span, then payload."""
        return (self.start_ms, self.end_ms, self.payload.canonical())


class Bench(Protocol):
    """Where a stage works: what it stands on, and a place to put what it makes."""

    @property
    def source(self) -> Path:
        """The asset."""

    @property
    def sources(self) -> Mapping[str, Path]:
        """Every input file by name: the asset, and its side-cars."""

    def has(self, contract: FileContract) -> bool:
        """Whether a file of a stage that this one uses is there (it is not when skipped)."""

    def read_document(self, contract: FileContract, model: type[Document]) -> Document:
        """A document made by a stage that this one stands on."""

    def read_artifacts(self, contract: FileContract) -> Iterator[ArtifactLine]:
        """The records of a file that this stage stands on, in order."""

    def write_document(self, contract: FileContract, value: BaseModel) -> None:
        """Make a document, once. Raises ContractBroken where the contract forbids it."""

    def write_artifacts(self, contract: FileContract, artifacts: Iterable[Timed]) -> int:
        """Make a file of artifacts, once, in order of span, then payload; how many there were.

        Raises ContractBroken where the contract forbids it.
        """

    def progress(self, done: float, total: float | None) -> None:
        """Tell how far the work is; cheap enough for every frame."""

    def warn(self, code: str, message: str, **fields: Any) -> None:
        """Keep a warning in the record and the log."""


class Observer(Protocol):
    """Who wants to know how a run goes. Must not raise."""

    def stage_started(self, stage: str) -> None:
        """A gate was open and the work begins."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """The work is so far; `total` is None where it cannot be known."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """The stage ended so; `reused` where it was up to date and nothing ran."""


class Lease(Protocol):
    """The right to work on a run, held by one runner at a time."""

    @property
    def epoch(self) -> int:
        """Rises with every holder; rides on every record."""

    def check(self) -> None:
        """Raise Held where the lease has passed to another."""


class FileWriter(Protocol):
    """A file being made. The digest is of the bytes as they were given."""

    def write(self, data: bytes) -> None:
        """Append all of `data`."""


class Attempt(Protocol):
    """The folder of one attempt: nothing in it is seen under the run's names before commit."""

    @property
    def stage(self) -> str:
        """Whose attempt it is."""

    @property
    def number(self) -> int:
        """Which attempt, from 1."""

    @property
    def started(self) -> datetime:
        """When it was begun."""

    def create(self, path: str) -> AbstractContextManager[FileWriter]:
        """Make a file, once; durable when the context ends well, gone when it does not."""

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file that was made."""


class RunDirectory(Protocol):
    """One run on disk. Whoever writes holds the lease."""

    @property
    def folder(self) -> Path:
        """Where the run lives."""

    @property
    def head(self) -> RunHead:
        """What the run is."""

    def hold(self, now: datetime) -> AbstractContextManager[Lease]:
        """Take the lease, or raise Held saying who has it and since when."""

    def is_held(self) -> bool:
        """Whether some runner holds the lease now."""

    def ledger(self) -> Ledger:
        """Everything the directory says, read anew."""

    def begin(self, lease: Lease, stage: str, attempt: int, now: datetime) -> Attempt:
        """Open an attempt's folder."""

    def discard(self, lease: Lease, attempt: Attempt) -> None:
        """Drop an attempt as if it had never been opened."""

    def commit(self, lease: Lease, record: StageRecord) -> None:
        """Make an attempt's outcome permanent, then give its files their names at the root.

        Atomic and create-only; raises Conflict where the attempt has a record already, Held
        where the lease has passed to another.
        """

    def settle(self, lease: Lease) -> tuple[Attempt, ...]:
        """Finish what a dead holder left half-named; the attempts it left without a record."""

    def refold(self, lease: Lease | None) -> Manifest:
        """Derive the manifest; with a lease, write it too."""

    def close(self, lease: Lease) -> Manifest:
        """Derive and write the manifest as it stands once the lease is given back."""

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file at the root; None where absent.

        Read in full, unless its device, inode, size and times of change are those at which
        this object read it before.
        """

    def open(self, path: str) -> BinaryIO:
        """Read a file at the root."""

    def rule(self, lease: Lease, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts of the last invocation."""

    def log(self, stage: str, event: Mapping[str, Any]) -> None:
        """Append an event to the stage's log. Advisory: never raises for the disk's sake."""

    def show(self, status: Mapping[str, Any]) -> None:
        """Replace the live view. Advisory likewise."""


class ArtifactRows(NamedTuple):
    """An artifact file on its way into a store."""

    ref: ArtifactRef
    artifact_type: str
    producer: Producer
    created_at: datetime
    lines: Iterable[ArtifactLine]
    """Raises Invalid at its end where the bytes were not those that `ref` names."""


class ResultStore(Protocol):
    """Takes in finished runs and answers from them."""

    def ingest(
        self, manifest: Manifest, manifest_sha256: str, files: Iterable[ArtifactRows]
    ) -> Receipt:
        """Take in a run: all of it or, where anything raises, nothing.

        The same manifest again changes nothing. A later revision of the run takes the place of
        an earlier one; Conflict where the one stored is as late and has other bytes, or later.
        """

    def jump(
        self, asset_id: AssetId, kind: JumpKind, direction: Direction, from_ms: int
    ) -> JumpAnswer:
        """The artifact with the nearest start before or after `from_ms`; NotFound where none."""

    def timeline(self, asset_id: AssetId, kind: JumpKind) -> tuple[Envelope, ...]:
        """All artifacts of a kind, in order; none where no completed run has any."""

    def find(
        self,
        asset_id: AssetId,
        query: str,
        *,
        direction: Direction,
        from_ms: int | None,
        limit: int,
    ) -> FindAnswer:
        """What was said that matches `query`, in web search syntax; any text is a safe query.

        Raises NotFound for an unknown asset; an asset without a transcript has no hits.
        """
