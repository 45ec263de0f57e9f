"""The ports: what the core needs done, and what whoever does it promises."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

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
"""Says the time, aware and in UTC."""

Document = TypeVar("Document", bound=BaseModel)
Item = TypeVar("Item")
Value = TypeVar("Value")

EventSink = Callable[[Mapping[str, Any]], None]
"""Hears every event of a run, redacted, from whichever thread it happens in. Must not raise."""


class Timed(NamedTuple):
    """A payload and when it holds, in ms on the asset's time line."""

    start_ms: int
    end_ms: int
    payload: Payload

    @property
    def place(self) -> tuple[int, int, bytes]:
        """What orders the records of a file: span, then payload."""
        return (self.start_ms, self.end_ms, self.payload.canonical())


@dataclass(frozen=True, kw_only=True)
class Mapped(Generic[Item, Value]):
    """An item that was worked on: its value, or what went wrong."""

    item: Item
    value: Value | None = None
    error: StageError | None = None

    @property
    def is_good(self) -> bool:
        """Whether there is a value."""
        return self.error is None


class Executor(Protocol):
    """Does the same work on many items, here or elsewhere."""

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """What came of every item, in the order of the items.

        Whatever `work` raises is the item's error, and no other item's. A worker that dies is
        replaced and its item begun again; after three deaths they are the item's error
        (`worker_died`). Reads no more than a few items ahead of what was taken, and holds no
        more values than that. Interrupted and KeyboardInterrupt go through.
        """

    def close(self) -> None:
        """Let the workers go. May be called twice."""


class Bench(Protocol):
    """Where a stage works: what it stands on, and a place to put what it makes."""

    @property
    def source(self) -> Path:
        """The asset."""

    @property
    def sources(self) -> Mapping[str, Path]:
        """Every input file by name: the asset, and its side-cars."""

    @property
    def head(self) -> RunHead:
        """What the run is. Nothing of its id or its clock belongs into a file, unless the file's
        contract names it."""

    def record(self, stage: str) -> StageRecord | None:
        """How a stage that this one stands on ended; None where it has not."""

    def has(self, contract: FileContract) -> bool:
        """Whether a file of a stage that this one uses is there (it is not when skipped)."""

    def read_document(self, contract: FileContract, model: type[Document]) -> Document:
        """A document made by a stage that this one stands on."""

    def read_artifacts(self, contract: FileContract) -> Iterator[ArtifactLine]:
        """The records of a file that this stage stands on, in order."""

    def read_records(self, contract: FileContract, model: type[Document]) -> Iterator[Document]:
        """The records of a file of JSON lines that this stage stands on, in order."""

    def path(self, contract: FileContract) -> Path:
        """A file that this stage stands on, for programs that open files themselves.

        It was verified just now, and is looked at again before the stage is committed.
        """

    def resource(self, name: str) -> Resource | None:
        """A resource that the stage consults; None where it is not there."""

    @property
    def open_store(self) -> OpenStore:
        """Opens object stores, for stages whose items lie in one. Where it was not given with
        the invocation, it raises Unavailable."""

    def write_document(self, contract: FileContract, value: BaseModel) -> None:
        """Make a document, once. Raises ContractBroken where the contract forbids it."""

    def write_artifacts(self, contract: FileContract, artifacts: Iterable[Timed]) -> int:
        """Make a file of artifacts, once, in order of span, then payload; how many there were.

        Raises ContractBroken where the contract forbids it.
        """

    def write_records(self, contract: FileContract, records: Iterable[BaseModel]) -> int:
        """Make a file of JSON lines, once, in the order given; how many there were.

        Raises ContractBroken where the contract forbids it.
        """

    def create(self, contract: FileContract) -> AbstractContextManager[IO[bytes]]:
        """Make a table or a binary file, once, by writing to it from its start to its end.

        Raises ContractBroken at the end of the block where the contract forbids what was made.
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
        """Fan out: what came of every item, in their order, bad ones included.

        `work` is a function of a module and its values can be pickled: it may run in another
        process. Bad items are kept in the stage's record under `name(item)` and counted in
        `counts.failed`; the stage fails where all of them are bad, unless they `may_all_fail`,
        or where one is under `--strict`.
        """

    def progress(self, done: float, total: float | None) -> None:
        """Tell how far the work is; cheap enough for every frame."""

    def measure(self, gauges: Mapping[str, float], failures: Mapping[str, int]) -> None:
        """Tell what is measured now, for whoever watches: the latest values count. `failures`: how
        many items failed so far, by kind. What `map` knows (items begun, done, failed) is told
        without this."""

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

    @property
    def lock(self) -> int:
        """A descriptor; a process that inherits it keeps the run held until it ends."""

    def check(self) -> None:
        """Raise Held where the lease has passed to another."""


class FileWriter(Protocol):
    """A file being made. The digest is of the bytes as they were given."""

    def write(self, data: bytes) -> None:
        """Append all of `data`."""


class Attempt(Protocol):
    """One attempt: nothing it makes is seen under the run's names before it is committed."""

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
        """Make a file, once; gone when the context ends badly. Durable once committed."""

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file that was made."""

    def place(self, path: str) -> Path:
        """Where a file is while it is being made."""


class RunFiles(Protocol):
    """The files of a run, wherever they lie."""

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file; None where absent."""

    def open(self, path: str) -> BinaryIO:
        """Read a file; FileNotFoundError where absent."""


class RunDirectory(RunFiles, Protocol):
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
        """Open an attempt; Conflict where the run is sealed."""

    def discard(self, lease: Lease, attempt: Attempt) -> None:
        """Drop an attempt as if it had never been opened."""

    def commit(self, lease: Lease, record: StageRecord) -> None:
        """Make an attempt's outcome permanent, then give its files their names at the root.

        Atomic and create-only; raises Conflict where the attempt has a record already, Held
        where the lease has passed to another.
        """

    def remove(self, lease: Lease, paths: Iterable[str]) -> None:
        """Take files away from the root that no record speaks for any more."""

    def settle(self, lease: Lease) -> tuple[Attempt, ...]:
        """Finish what a dead holder left half-named; the attempts it left without a record."""

    def refold(self, lease: Lease | None) -> Manifest:
        """Derive the manifest; with a lease, write it too."""

    def close(self, lease: Lease) -> Manifest:
        """Tidy up; derive and write the manifest as it stands once the lease is given back."""

    def seal(self, lease: Lease, seal: "Seal") -> None:
        """Close the run for good; Conflict where it is sealed already."""

    def seal_there(self) -> "Seal | None":
        """The seal; None where the run may still change."""

    def bytes_of(self, manifest: Manifest) -> bytes:
        """The bytes of the run's manifest; those that it was sealed with, where it is."""

    def check_open(self) -> None:
        """Raise Conflict where the run is sealed."""

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file at the root; None where absent.

        Read in full, unless its device, inode, size and times of change are those at which
        this object read it before.
        """

    def path_of(self, path: str) -> Path:
        """Where a file at the root lies; Invalid where that is outside."""

    def rule(self, lease: Lease, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts of the last invocation."""

    def log(self, stage: str, event: Mapping[str, Any]) -> None:
        """Append an event to the stage's log. Advisory: never raises for the disk's sake."""

    def show(self, status: Mapping[str, Any]) -> None:
        """Replace the live view. Advisory likewise."""
