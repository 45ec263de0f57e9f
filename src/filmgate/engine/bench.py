"""The bench that a stage works at: reads what it stands on, validates what it makes."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, Any, cast

from pydantic import BaseModel

from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import ContractBroken, Interrupted, Invalid, first_fault
from filmgate.core.files import FileContract, FileKind
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
from filmgate.core.records import ArtifactRef, RunHead, StageRecord
from filmgate.core.redaction import storable
from filmgate.core.resources import Resource, Resources
from filmgate.engine.fan_out import FanOut
from filmgate.engine.validation import examine, next_artifact
from filmgate.engine.writing import Sink, line_of, ref_to, timed_line

MAX_WARNINGS = 1000
"""So many are kept in a record; the stage's log tells of all."""


class StageBench:
    """The port `Bench`, over one attempt."""

    def __init__(
        self,
        *,
        stage: Stage,
        run: RunDirectory,
        attempt: Attempt,
        standing: Mapping[str, StageRecord],
        sources: Mapping[str, Path],
        readable: Mapping[str, ArtifactRef],
        registry: Registry,
        resources: Resources,
        open_store: OpenStore,
        fan_out: FanOut,
        report: Callable[[float, float | None], None],
        measured: Callable[[dict[str, float], dict[str, int]], None],
        warned: Callable[[dict[str, Any]], None],
        stop: Event,
    ) -> None:
        self._stage = stage
        self._run = run
        self._attempt = attempt
        self._standing = standing
        self._readable = readable
        self._registry = registry
        self._resources = resources
        self.open_store = open_store
        self._fan_out = fan_out
        self._report = report
        self._measured = measured
        self._warned = warned
        self._gauges: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._stop = stop
        self._lent: set[str] = set()
        self._refs: dict[str, ArtifactRef] = {}
        self.sources = sources
        self.warnings: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}

    @property
    def source(self) -> Path:
        """The asset: the first of the sources."""
        return next(iter(self.sources.values()))

    @property
    def head(self) -> RunHead:
        """What the run is."""
        return self._run.head

    def record(self, stage: str) -> StageRecord | None:
        """How a stage that this one stands on ended."""
        return self._standing.get(stage)

    def has(self, contract: FileContract) -> bool:
        """Whether a file that the gate verified is there."""
        return contract.path in self._readable

    def read_document(self, contract: FileContract, model: type[Document]) -> Document:
        """A document of a stage that this one stands on."""
        return model.model_validate_json(b"".join(self._verified_lines(contract)))

    def read_records(self, contract: FileContract, model: type[Document]) -> Iterator[Document]:
        """The records of a file that this stage stands on."""
        for line in self._verified_lines(contract):
            yield model.model_validate_json(line)

    def read_artifacts(self, contract: FileContract) -> Iterator[ArtifactLine]:
        """The records of an artifact file that this stage stands on."""
        return self.read_records(contract, ArtifactLine)

    def path(self, contract: FileContract) -> Path:
        """A file that this stage stands on, verified just now and again at the end."""
        self._check_lent(contract.path, self._readable_ref(contract))
        self._lent.add(contract.path)
        return self._run.path_of(contract.path)

    def resource(self, name: str) -> Resource | None:
        """A resource that the stage said it consults."""
        if name not in self._stage.consults:
            raise ContractBroken(
                f"stage {self._stage.name} consults what it did not declare",
                expected=", ".join(self._stage.consults) or "nothing",
                got=name,
            )
        return self._resources.get(name)

    def write_document(self, contract: FileContract, value: BaseModel) -> None:
        """Make a document, after its model has seen it."""
        with self._made(contract, FileKind.JSON) as file:
            file.write(line_of(contract, value))
        self._keep(contract, records=1)

    def write_records(self, contract: FileContract, records: Iterable[BaseModel]) -> int:
        """Make a file of JSON lines, each record seen by its model."""
        count = 0
        with self._made(contract, FileKind.RECORDS) as file:
            for value in records:
                file.write(line_of(contract, value))
                count += 1
        return self._keep(contract, records=count)

    def write_artifacts(self, contract: FileContract, artifacts: Iterable[Timed]) -> int:
        """Make a file of artifacts, each checked against its payload contract as it passes."""
        model = self._registry.model(contract.schema, contract.schema_version)
        previous: ArtifactLine | None = None
        count = 0
        with self._made(contract, FileKind.ARTIFACTS) as file:
            for timed in artifacts:
                try:
                    line = next_artifact(contract, previous, timed_line(count, timed), model)
                except ValueError as error:
                    raise ContractBroken(first_fault(error)) from error
                file.write(line.to_bytes())
                previous, count = line, count + 1
        return self._keep(contract, records=count)

    @contextmanager
    def create(self, contract: FileContract) -> Iterator[IO[bytes]]:
        """Make a table or a binary file; a table is held against its contract at the end."""
        with self._made(contract, FileKind.PARQUET, FileKind.BINARY) as file, Sink(file) as sink:
            yield cast("IO[bytes]", sink)
        seen = examine(contract, self._attempt.place(contract.path), self._registry)
        if seen.fault is not None or seen.records is None:
            raise ContractBroken(f"{contract.path} breaks its contract", got=seen.fault)
        self._keep(contract, records=seen.records)

    def map(
        self,
        work: Callable[[Item], Value],
        items: Iterable[Item],
        *,
        total: int | None = None,
        name: Callable[[Item], str] = str,
        may_all_fail: bool = False,
    ) -> Iterator[Mapped[Item, Value]]:
        """Fan out over items; progress is told by item."""
        return self._fan_out.map(
            work,
            items,
            total=total,
            name=name,
            progress=self.progress,
            may_all_fail=may_all_fail,
        )

    def progress(self, done: float, total: float | None) -> None:
        """Tell how far the work is; the place where a stage learns that it must stop."""
        if self._stop.is_set():
            raise Interrupted("the run was stopped")
        self._report(_number(done) or 0.0, _number(total))
        if self._fan_out.begun:
            self.measure({}, {})

    def measure(self, gauges: Mapping[str, float], failures: Mapping[str, int]) -> None:
        """Tell what is measured now; what was told before stays told."""
        self._gauges.update({name: float(value) for name, value in gauges.items()})
        self._failures.update(failures)
        self._measured(self._gauges | self._fan_out.gauges, self._failures)

    def warn(self, code: str, message: str, **fields: Any) -> None:
        """Keep a warning."""
        warning = storable({**fields, "code": code, "message": message})
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(warning)
        self._warned(warning)

    def finish(self) -> tuple[ArtifactRef, ...]:
        """What was made, in the order of the contracts; ContractBroken where a file lacks."""
        for path in sorted(self._lent):
            self._check_lent(path, self._readable[path])
        missing = [made.path for made in self._stage.makes if made.path not in self._refs]
        if missing:
            raise ContractBroken(
                f"stage {self._stage.name} did not make all of its files",
                expected=", ".join(contract.path for contract in self._stage.makes),
                got=f"no {', '.join(missing)}",
            )
        return tuple(self._refs[contract.path] for contract in self._stage.makes)

    @contextmanager
    def _made(self, contract: FileContract, *kinds: FileKind) -> Iterator[FileWriter]:
        """A declared file of one of these kinds, being made."""
        if contract not in self._stage.makes:
            raise ContractBroken(
                f"stage {self._stage.name} makes a file that it did not declare",
                expected=", ".join(each.path for each in self._stage.makes) or "no file",
                got=contract.path,
            )
        if contract.kind not in kinds:
            raise ContractBroken(
                f"{contract.path} is made another way",
                expected=f"a file of kind {contract.kind}",
                got=" or ".join(kinds),
            )
        with self._attempt.create(contract.path) as file:
            yield file

    def _keep(self, contract: FileContract, *, records: int) -> int:
        """Name the file that was made, once it has records enough."""
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
        self._refs[contract.path] = ref_to(contract, facts.sha256, facts.size_bytes, records)
        return records

    def _readable_ref(self, contract: FileContract) -> ArtifactRef:
        ref = self._readable.get(contract.path)
        if ref is None:
            raise ContractBroken(
                f"stage {self._stage.name} reads a file that its gate did not verify",
                expected=", ".join(sorted(self._readable)) or "no file",
                got=contract.path,
                hint="Name the stage that makes it in requires or uses",
            )
        return ref

    def _check_lent(self, path: str, ref: ArtifactRef) -> None:
        facts = self._run.facts(path)
        if facts is None or facts.sha256 != ref.sha256:
            raise _changed(ref, facts.sha256 if facts else None)

    def _verified_lines(self, contract: FileContract) -> Iterator[bytes]:
        """The file's lines; Invalid at its end where they are not what the gate verified."""
        ref = self._readable_ref(contract)
        self._lent.add(contract.path)
        digest = hashlib.sha256()
        with self._run.open(contract.path) as file:
            for line in file:
                digest.update(line)
                yield line
        if digest.hexdigest() != ref.sha256:
            raise _changed(ref, digest.hexdigest())


def _changed(ref: ArtifactRef, sha256: str | None) -> Invalid:
    return Invalid(
        f"{ref.path} changed after its gate was asked",
        expected=f"sha256 {ref.sha256}",
        got=f"sha256 {sha256}" if sha256 else "no file",
    )


def _number(value: Any) -> float | None:
    """A number that JSON can hold; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
