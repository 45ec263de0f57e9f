"""The context of a stage: reads verified files, and writes files under their contracts."""

import hashlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pydantic import BaseModel

from filmgate.core.digest import JsonObject
from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import ContractBroken, Interrupted, Invalid, first_fault
from filmgate.core.files import FileContract, FileKind
from filmgate.core.manifest import Ledger
from filmgate.core.objects import OpenStore
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Stage
from filmgate.core.ports import (
    Attempt,
    Document,
    FileWriter,
    Item,
    Mapped,
    RunDirectory,
    Timed,
    Value,
)
from filmgate.core.records import ArtifactRef, RunHead, StageRecord, changed_file_error
from filmgate.core.redaction import to_json_value
from filmgate.core.resources import Resource, Resources
from filmgate.engine.contract_writers import (
    AttemptFileIO,
    encode_line,
    make_artifact_line,
    make_artifact_ref,
)
from filmgate.engine.fan_out import FanOut
from filmgate.engine.journal import Journal
from filmgate.engine.validation import examine, next_artifact

MAX_WARNINGS = 1000
"""Maximum number of warnings in a record; the stage's log contains all of them."""


@dataclass(frozen=True, kw_only=True)
class StageEnvironment:
    """What the stages of one invocation can access, besides the files of earlier stages."""

    run: RunDirectory
    sources: Mapping[str, Path]
    """Paths of the input files by name; the asset is the first."""
    registry: Registry
    resources: Resources
    open_store: OpenStore


class EngineStageContext:
    """Implementation of the port `StageContext` for one attempt."""

    def __init__(
        self,
        *,
        stage: Stage,
        attempt: Attempt,
        ledger: Ledger,
        environment: StageEnvironment,
        journal: Journal,
        stop_event: threading.Event,
        fan_out: FanOut,
    ) -> None:
        """Initialize the context.

        `ledger`: state of the run at the time of the gate check. `stop_event`: set when the work
        should end.
        """
        self._stage = stage
        self._attempt = attempt
        self._run = environment.run
        self._ledger = ledger
        self._readable = ledger.readable_files(stage.name)
        self._registry = environment.registry
        self._resources = environment.resources
        self.open_store = environment.open_store
        self._fan_out = fan_out
        self._journal = journal
        self._stop_event = stop_event
        self._gauges: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._paths_read: set[str] = set()
        self._refs: dict[str, ArtifactRef] = {}
        self.sources = environment.sources
        self.warnings: list[JsonObject] = []
        """Warnings for the record, at most `MAX_WARNINGS`."""
        self.counts: dict[str, int] = {}
        """Number of records by the name under which a contract counts them."""

    @property
    def source(self) -> Path:
        """Path of the asset: the first of the sources."""
        return next(iter(self.sources.values()))

    @property
    def head(self) -> RunHead:
        """Head of the run."""
        return self._run.head

    def record(self, stage: str) -> StageRecord | None:
        """Record of a stage that this one depends on; None if there is none."""
        return self._ledger.current_record(stage) if stage in self._stage.depends_on else None

    def has(self, contract: FileContract) -> bool:
        """Whether the file exists and was verified by the gate."""
        return contract.path in self._readable

    def read_document(self, contract: FileContract, model: type[Document]) -> Document:
        """Read a document that an upstream stage made."""
        return model.model_validate_json(b"".join(self._verified_lines(contract)))

    def read_records(self, contract: FileContract, model: type[Document]) -> Iterator[Document]:
        """Yield the records of a file that an upstream stage made."""
        for line in self._verified_lines(contract):
            yield model.model_validate_json(line)

    def read_artifacts(self, contract: FileContract) -> Iterator[ArtifactLine]:
        """Yield the records of an artifact file that an upstream stage made."""
        return self.read_records(contract, ArtifactLine)

    def path(self, contract: FileContract) -> Path:
        """Path of an upstream stage's file; it is verified now, and again when the stage ends."""
        self._check_unchanged(contract.path, self._readable_ref(contract))
        self._paths_read.add(contract.path)
        return self._run.path_of(contract.path)

    def resource(self, name: str) -> Resource | None:
        """Return a resource that the stage declares; None if it is not available."""
        if name not in self._stage.reads_resources:
            raise ContractBroken(
                f"stage {self._stage.name} reads a resource that it did not declare",
                expected=", ".join(self._stage.reads_resources) or "nothing",
                got=name,
            )
        return self._resources.get(name)

    def write_document(self, contract: FileContract, value: BaseModel) -> None:
        """Write a document, validated by its model."""
        with self._create(contract, FileKind.JSON) as file:
            file.write(encode_line(contract, value))
        self._finish_file(contract, records=1)

    def write_records(self, contract: FileContract, records: Iterable[BaseModel]) -> int:
        """Write a file of JSON lines, each record validated by its model."""
        count = 0
        with self._create(contract, FileKind.RECORDS) as file:
            for value in records:
                file.write(encode_line(contract, value))
                count += 1
        return self._finish_file(contract, records=count)

    def write_artifacts(self, contract: FileContract, artifacts: Iterable[Timed]) -> int:
        """Write a file of artifacts, each validated against its payload contract when written."""
        model = self._registry.model(contract.schema, contract.schema_version)
        previous: ArtifactLine | None = None
        count = 0
        with self._create(contract, FileKind.ARTIFACTS) as file:
            for timed in artifacts:
                try:
                    line = next_artifact(
                        contract, previous, make_artifact_line(count, timed), model
                    )
                except ValueError as error:
                    raise ContractBroken(first_fault(error)) from error
                file.write(line.to_bytes())
                previous, count = line, count + 1
        return self._finish_file(contract, records=count)

    @contextmanager
    def create(self, contract: FileContract) -> Iterator[IO[bytes]]:
        """Write a table or a binary file; a table is validated against its contract at the end."""
        with (
            self._create(contract, FileKind.PARQUET, FileKind.BINARY) as writer,
            AttemptFileIO(writer) as file,
        ):
            yield cast("IO[bytes]", file)
        examination = examine(contract, self._attempt.staging_path(contract.path), self._registry)
        if examination.fault is not None or examination.records is None:
            raise ContractBroken(
                f"{contract.path} does not match its contract", got=examination.fault
            )
        self._finish_file(contract, records=examination.records)

    def map(
        self,
        work: Callable[[Item], Value],
        items: Iterable[Item],
        *,
        total: int | None = None,
        name: Callable[[Item], str] = str,
        may_all_fail: bool = False,
    ) -> Iterator[Mapped[Item, Value]]:
        """Fan out over items; report progress after each item."""
        return self._fan_out.map(
            work,
            items,
            total=total,
            name=name,
            progress=self.progress,
            may_all_fail=may_all_fail,
        )

    def progress(self, done: float, total: float | None) -> None:
        """Report progress; raise Interrupted if the run was stopped."""
        if self._stop_event.is_set():
            raise Interrupted("the run was stopped")
        self._journal.log_progress(self._stage.name, _number(done) or 0.0, _number(total))
        if self._fan_out.started:
            self.measure({}, {})

    def measure(self, gauges: Mapping[str, float], failures: Mapping[str, int]) -> None:
        """Report current measurements; earlier values that are not given now stay valid."""
        self._gauges.update({name: float(value) for name, value in gauges.items()})
        self._failures.update(failures)
        gauges = self._gauges | self._fan_out.gauges
        self._journal.log_metrics(self._stage.name, gauges, self._failures)

    def warn(self, code: str, message: str, **fields: object) -> None:
        """Add a warning to the record and the log."""
        warning = to_json_value({**fields, "code": code, "message": message})
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(warning)
        self._journal.log_warning(self._stage.name, warning)

    def finish(self) -> tuple[ArtifactRef, ...]:
        """Verify that the files read are unchanged; return the files made, in contract order.

        Raises Invalid if a file changed, ContractBroken if a declared file was not made.
        """
        for path in sorted(self._paths_read):
            self._check_unchanged(path, self._readable[path])
        missing = [c.path for c in self._stage.makes if c.path not in self._refs]
        if missing:
            raise ContractBroken(
                f"stage {self._stage.name} did not make all of its files",
                expected=", ".join(contract.path for contract in self._stage.makes),
                got=f"no {', '.join(missing)}",
            )
        return tuple(self._refs[contract.path] for contract in self._stage.makes)

    @contextmanager
    def _create(self, contract: FileContract, *kinds: FileKind) -> Iterator[FileWriter]:
        """Create a declared file of one of `kinds`; raise ContractBroken for any other file."""
        if contract not in self._stage.makes:
            raise ContractBroken(
                f"stage {self._stage.name} writes a file that it did not declare",
                expected=", ".join(declared.path for declared in self._stage.makes) or "no file",
                got=contract.path,
            )
        if contract.kind not in kinds:
            raise ContractBroken(
                f"{contract.path} cannot be written with this method",
                expected=f"the method for files of kind {contract.kind}",
                got=f"the method for kind {' or '.join(kinds)}",
            )
        with self._attempt.create(contract.path) as file:
            yield file

    def _finish_file(self, contract: FileContract, *, records: int) -> int:
        """Add the reference to a written file; raise ContractBroken if it has too few records."""
        facts = self._attempt.facts(contract.path)
        if facts is None:
            raise ContractBroken(f"{contract.path} was not written", got="no file")
        if records < contract.min_records:
            raise ContractBroken(
                f"{contract.path} has too few records",
                expected=f"at least {contract.min_records}",
                got=str(records),
            )
        if contract.counted_as is not None:
            self.counts[contract.counted_as] = records
        self._refs[contract.path] = make_artifact_ref(
            contract, facts.sha256, facts.size_bytes, records
        )
        return records

    def _readable_ref(self, contract: FileContract) -> ArtifactRef:
        ref = self._readable.get(contract.path)
        if ref is None:
            raise ContractBroken(
                f"stage {self._stage.name} reads a file that its gate did not verify",
                expected=", ".join(sorted(self._readable)) or "no file",
                got=contract.path,
                hint="Name the stage that makes it in `requires` or `uses`",
            )
        return ref

    def _check_unchanged(self, path: str, ref: ArtifactRef) -> None:
        facts = self._run.facts(path)
        if facts is None or facts.sha256 != ref.sha256:
            raise _file_changed(ref, facts.sha256 if facts else None)

    def _verified_lines(self, contract: FileContract) -> Iterator[bytes]:
        """Yield the file's lines; at the end, raise Invalid if the file changed since its check."""
        ref = self._readable_ref(contract)
        self._paths_read.add(contract.path)
        digest = hashlib.sha256()
        with self._run.open(contract.path) as file:
            for line in file:
                digest.update(line)
                yield line
        if digest.hexdigest() != ref.sha256:
            raise _file_changed(ref, digest.hexdigest())


def _file_changed(ref: ArtifactRef, sha256: str | None) -> Invalid:
    return changed_file_error(Invalid, ref, sha256, "its gate check")


def _number(value: float | None) -> float | None:
    """Convert to a number that JSON can contain; None for anything else."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
