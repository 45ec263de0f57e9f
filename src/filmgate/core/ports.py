"""The ports: interfaces that the core needs, and what their implementations must guarantee."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from filmgate.core.digest import JsonObject
from filmgate.core.envelope import ArtifactLine
from filmgate.core.files import FileContract
from filmgate.core.gates import FileFacts, Verdict
from filmgate.core.manifest import Ledger, Manifest
from filmgate.core.objects import OpenStore
from filmgate.core.payloads.payload import Payload
from filmgate.core.records import RunHead, StageError, StageRecord
from filmgate.core.resources import Resource
from filmgate.core.states import StageState

if TYPE_CHECKING:
    from filmgate.core.publishing import Seal

Clock = Callable[[], datetime]
"""Function that returns the current time, timezone-aware and in UTC."""

Document = TypeVar("Document", bound=BaseModel)
Item = TypeVar("Item")
Value = TypeVar("Value")

EventSink = Callable[[JsonObject], None]
"""Function that receives every event of a run, redacted. It is called in any thread, and must not
raise."""


class Timed(NamedTuple):
    """A payload with its time span [start_ms, end_ms) on the asset's time line."""

    start_ms: int
    end_ms: int
    payload: Payload

    @property
    def sort_key(self) -> tuple[int, int, bytes]:
        """Sort key of records in a file: by span, then by payload."""
        return (self.start_ms, self.end_ms, self.payload.canonical())


@dataclass(frozen=True, kw_only=True)
class Mapped(Generic[Item, Value]):
    """The result of one item: its value, or its error."""

    item: Item
    value: Value | None = None
    error: StageError | None = None

    @property
    def is_good(self) -> bool:
        """Whether the item has no error."""
        return self.error is None


class Executor(Protocol):
    """Applies a function to many items, in this process or in others."""

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """Yield the result of every item, in the order of the items.

        An exception that `work` raises is stored as the error of that item only. If a worker dies,
        it is replaced and its item is started again; after three deaths, the item has the error
        `worker_died`. At most a few items are read, and a few values stored, ahead of the results
        that the caller has consumed. Interrupted and KeyboardInterrupt are raised.
        """

    def close(self) -> None:
        """Stop the workers. Can be called twice."""


class StageContext(Protocol):
    """The interface of a running stage: its inputs, its outputs and its progress."""

    @property
    def source(self) -> Path:
        """Path of the asset."""

    @property
    def sources(self) -> Mapping[str, Path]:
        """Paths of all input files by name: the asset and its side-car files."""

    @property
    def head(self) -> RunHead:
        """Head of the run. A stage must not write the run's id or times to a file unless the file's
        contract has fields for them."""

    def record(self, stage: str) -> StageRecord | None:
        """Return the current record of a stage that this one depends on; None without one."""

    def has(self, contract: FileContract) -> bool:
        """Whether a file of an optional upstream stage exists; False if the stage was skipped."""

    def read_document(self, contract: FileContract, model: type[Document]) -> Document:
        """Read and verify a document of a stage that this one depends on."""

    def read_artifacts(self, contract: FileContract) -> Iterator[ArtifactLine]:
        """Read and verify the artifacts of a file that this stage depends on, in file order."""

    def read_records(self, contract: FileContract, model: type[Document]) -> Iterator[Document]:
        """Read and verify the records of a file that this stage depends on, in file order."""

    def path(self, contract: FileContract) -> Path:
        """Return the path of an upstream file, for programs that open files themselves.

        The file is verified now, and checked again before the stage is committed.
        """

    def resource(self, name: str) -> Resource | None:
        """Return a resource that the stage reads; None if it is not available."""

    @property
    def open_store(self) -> OpenStore:
        """Function that opens object stores, for stages whose items are stored in one. Raises
        Unavailable if the invocation cannot open stores."""

    def write_document(self, contract: FileContract, value: BaseModel) -> None:
        """Write a document, once. Raises ContractBroken if it breaks the contract."""

    def write_artifacts(self, contract: FileContract, artifacts: Iterable[Timed]) -> int:
        """Write a file of artifacts, once, sorted by span, then payload; return their number.

        Raises ContractBroken if one of them breaks the contract.
        """

    def write_records(self, contract: FileContract, records: Iterable[BaseModel]) -> int:
        """Write a file of JSON lines, once, in the given order; return their number.

        Raises ContractBroken if one of them breaks the contract.
        """

    def create(self, contract: FileContract) -> AbstractContextManager[IO[bytes]]:
        """Open a table or binary file for writing, once, from start to end.

        Raises ContractBroken at the end of the block if the contents break the contract.
        """

    def map(
        self,
        work: Callable[[Item], Value],
        items: Iterable[Item],
        *,
        total: int | None = None,
        name: Callable[[Item], str] = str,
        may_all_fail: bool = False,
    ) -> Iterator[Mapped[Item, Value]]:
        """Apply `work` to every item; yield all results, including failed ones, in item order.

        `work` may run in another process: it must be a module-level function, and its values must
        be picklable. Failed items are stored in the stage's record under `name(item)` and counted
        in `counts.failed`. The stage fails if all items failed, unless `may_all_fail`, or
        if one failed with `--strict`. `total`: number of items, if known.
        """

    def progress(self, done: float, total: float | None) -> None:
        """Report progress; cheap enough to call for every frame. Raises to stop the stage."""

    def measure(self, gauges: Mapping[str, float], failures: Mapping[str, int]) -> None:
        """Report the latest measurements, for monitoring.

        `failures`: failed items so far, by kind. `map` reports the items started, done and failed
        itself.
        """

    def warn(self, code: str, message: str, **fields: object) -> None:
        """Add a warning to the record and the log."""


class Observer(Protocol):
    """Receiver of the progress of a run. Implementations must not raise."""

    def stage_started(self, stage: str) -> None:
        """The stage's gate was open and its work begins."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """The stage made progress; `total` is None if it is unknown."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """The stage ended; `reused`: it was up to date and did not run."""


class Lease(Protocol):
    """The right to write to a run, held by one runner at a time."""

    @property
    def epoch(self) -> int:
        """Fencing epoch: rises with every holder, and is stored in every record."""

    @property
    def lock(self) -> int:
        """File descriptor of the lock; a process that inherits it keeps the lease held."""

    def check(self) -> None:
        """Raise Held if another runner has taken the lease."""


class FileWriter(Protocol):
    """A file being written. Its digest is computed from the bytes passed to `write`."""

    def write(self, data: bytes) -> None:
        """Append all of `data`."""


class Attempt(Protocol):
    """One attempt at a stage. Its files get their names in the run only when it is committed."""

    @property
    def stage(self) -> str:
        """Name of the stage."""

    @property
    def number(self) -> int:
        """Number of the attempt, from 1."""

    @property
    def started(self) -> datetime:
        """When the attempt was started."""

    def create(self, path: str) -> AbstractContextManager[FileWriter]:
        """Create a file; it is removed if the block raises, and durable after the commit."""

    def facts(self, path: str) -> FileFacts | None:
        """Return the size and digest of a file of this attempt; None if absent."""

    def staging_path(self, path: str) -> Path:
        """Return a path at which a file can be read before the attempt is committed.

        The path may be that of a copy.
        """


class RunFiles(Protocol):
    """The files of a run, on disk or in an object store."""

    def facts(self, path: str) -> FileFacts | None:
        """Return the size and digest of a file; None if absent."""

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading. Raises FileNotFoundError if absent."""


class RunDirectory(RunFiles, Protocol):
    """One run. Methods that write need the lease."""

    @property
    def folder(self) -> Path:
        """Folder of the run; its name is the run id. A run that is not on disk may not have it."""

    @property
    def head(self) -> RunHead:
        """Head of the run."""

    def acquire_lease(self, now: datetime) -> AbstractContextManager[Lease]:
        """Take the lease. Raises Held, with its holder and start time, if another runner has it."""

    def is_held(self) -> bool:
        """Whether a runner holds the lease now."""

    def ledger(self) -> Ledger:
        """Read the current records, attempts and verdicts from the directory."""

    def begin(
        self,
        lease: Lease,
        stage: str,
        attempt: int,
        now: datetime,
        *,
        despite_seal: bool = False,
    ) -> Attempt:
        """Open an attempt. Raises Conflict if the attempt is open already, or if the run is sealed.

        `despite_seal`: open it in a sealed run, too. Only the erasure of a person may do that; it
        must replace the seal afterwards, see `seal`.
        """

    def discard(self, lease: Lease, attempt: Attempt) -> None:
        """Remove an attempt as if it had never been opened."""

    def commit(self, lease: Lease, record: StageRecord) -> None:
        """Make an attempt's outcome permanent, then install its files at the run's root.

        Atomic and create-only. Raises Conflict if the attempt has a record already, Held if
        another runner has taken the lease, Invalid if something else is at the path of a file,
        FileNotFoundError if the attempt did not make a file that the record names. After an error,
        the attempt has no record.
        """

    def remove(self, lease: Lease, paths: Iterable[str]) -> None:
        """Remove files from the run's root, if they exist. No current record may name them."""

    def recover(self, lease: Lease) -> tuple[Attempt, ...]:
        """Finish the commits of an interrupted runner; return its attempts without a record."""

    def fold_manifest(self, lease: Lease | None) -> Manifest:
        """Derive the manifest; with a lease, write it too."""

    def close(self, lease: Lease) -> Manifest:
        """Make all file names durable; write the manifest of the run as no longer held."""

    def seal(self, lease: Lease, seal: "Seal", *, replace: bool = False) -> None:
        """Close the run for good. Raises Conflict if it is sealed already, unless `replace`."""

    def read_seal(self) -> "Seal | None":
        """Return the seal; None if the run may still change."""

    def manifest_bytes(self, manifest: Manifest) -> bytes:
        """Encode the run's manifest; for a sealed run, return the bytes in the seal."""

    def check_not_sealed(self) -> None:
        """Raise Conflict if the run is sealed."""

    def facts(self, path: str) -> FileFacts | None:
        """Return the size and digest of a file at the run's root; None if absent.

        The file is read in full, unless its device, inode, size and times are the same as when this
        object last read it.
        """

    def path_of(self, path: str) -> Path:
        """Return a path at which a file at the run's root can be read; it may be that of a copy.

        Nothing exists at the path if the file is absent. Raises Invalid if it is outside the root.
        """

    def save_verdicts(self, lease: Lease, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts of the last invocation."""

    def log(self, stage: str, event: JsonObject) -> None:
        """Append an event to the stage's log. Best effort: ignores disk errors."""

    def write_status(self, status: JsonObject) -> None:
        """Replace `status.json`, the live view of the run. Best effort: ignores disk errors."""
