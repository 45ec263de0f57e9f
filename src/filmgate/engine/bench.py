"""The bench that a stage works at: reads what it stands on, validates what it makes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import ContractBroken, Invalid
from filmgate.core.files import FileContract
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Stage
from filmgate.core.ports import Attempt, Document, RunDirectory, Timed
from filmgate.core.records import ArtifactRef


class StageBench:
    """The port `Bench`, over one attempt's folder."""

    def __init__(
        self,
        *,
        stage: Stage,
        run: RunDirectory,
        attempt: Attempt,
        sources: Mapping[str, Path],
        readable: Mapping[str, ArtifactRef],
        registry: Registry,
        report: Callable[[float, float | None], None],
        warned: Callable[[dict[str, Any]], None],
    ) -> None:
        self._stage = stage
        self._run = run
        self._attempt = attempt
        self._readable = readable
        self._registry = registry
        self._report = report
        self._warned = warned
        self.sources = sources
        self.refs: list[ArtifactRef] = []
        self.warnings: list[dict[str, Any]] = []

    @property
    def source(self) -> Path:
        """The asset: the first of the sources."""
        return next(iter(self.sources.values()))

    def has(self, contract: FileContract) -> bool:
        """Whether a file that the gate verified is there."""
        return contract.path in self._readable

    def read_document(self, contract: FileContract, model: type[Document]) -> Document:
        """A document of a stage that this one stands on."""
        return model.model_validate_json(b"".join(self._verified_lines(contract)))

    def read_artifacts(self, contract: FileContract) -> Iterator[ArtifactLine]:
        """The records of a file that this stage stands on."""
        for line in self._verified_lines(contract):
            yield ArtifactLine.model_validate_json(line)

    def write_document(self, contract: FileContract, value: BaseModel) -> None:
        """Make a document, after its model has seen it."""
        self._check_declared(contract)
        if contract.model is not None and not isinstance(value, contract.model):
            raise ContractBroken(
                f"{contract.path} holds another kind of document",
                expected=contract.model.__name__,
                got=type(value).__name__,
            )
        with self._attempt.create(contract.path) as file:
            file.write(canonical_json(value.model_dump(mode="json")) + b"\n")
        self._made(contract, records=1)

    def write_artifacts(self, contract: FileContract, artifacts: Iterable[Timed]) -> int:
        """Make a file of artifacts, each checked against its payload contract as it passes."""
        self._check_declared(contract)
        model = self._registry.model(contract.schema, contract.schema_version)
        records = 0
        previous: ArtifactLine | None = None
        with self._attempt.create(contract.path) as file:
            for timed in artifacts:
                line = _line(contract, records, timed, model)
                if previous is not None and line.precedes(previous):
                    raise ContractBroken(
                        f"{contract.path} is out of order at record {records}",
                        expected=f"a span not before {previous.span_start_ms} ms",
                        got=f"{line.span_start_ms} ms",
                    )
                file.write(line.to_bytes())
                previous, records = line, records + 1
        if records < contract.min_records:
            raise ContractBroken(
                f"{contract.path} has too few records",
                expected=f"at least {contract.min_records}",
                got=str(records),
            )
        self._made(contract, records=records)
        return records

    def progress(self, done: float, total: float | None) -> None:
        """Tell how far the work is."""
        self._report(done, total)

    def warn(self, code: str, message: str, **fields: Any) -> None:
        """Keep a warning."""
        warning = {"code": code, "message": message, **fields}
        self.warnings.append(warning)
        self._warned(warning)

    def finish(self) -> tuple[ArtifactRef, ...]:
        """What was made, in the order of the contracts; ContractBroken where a file lacks."""
        made = {ref.path: ref for ref in self.refs}
        missing = [contract.path for contract in self._stage.makes if contract.path not in made]
        if missing:
            raise ContractBroken(
                f"stage {self._stage.name} did not make all of its files",
                expected=", ".join(contract.path for contract in self._stage.makes),
                got=f"no {', '.join(missing)}",
            )
        return tuple(made[contract.path] for contract in self._stage.makes)

    def _made(self, contract: FileContract, *, records: int) -> None:
        facts = self._attempt.facts(contract.path)
        if facts is None:
            raise ContractBroken(f"{contract.path} was not written", got="no file")
        self.refs.append(
            ArtifactRef(
                key=contract.key,
                path=contract.path,
                sha256=facts.sha256,
                size_bytes=facts.size_bytes,
                media_type=contract.kind.value,
                schema_name=contract.schema,
                schema_version=contract.schema_version,
                records=records,
                artifact_type=contract.artifact_type,
            )
        )

    def _check_declared(self, contract: FileContract) -> None:
        if contract not in self._stage.makes:
            raise ContractBroken(
                f"stage {self._stage.name} makes a file that it did not declare",
                expected=", ".join(each.path for each in self._stage.makes) or "no file",
                got=contract.path,
            )

    def _verified_lines(self, contract: FileContract) -> Iterator[bytes]:
        """The file's lines; Invalid at its end where they are not what the gate verified."""
        ref = self._readable.get(contract.path)
        if ref is None:
            raise ContractBroken(
                f"stage {self._stage.name} reads a file that its gate did not verify",
                expected=", ".join(sorted(self._readable)) or "no file",
                got=contract.path,
                hint="Name the stage that makes it in requires or uses",
            )
        digest = hashlib.sha256()
        with self._run.open(contract.path) as file:
            for line in file:
                digest.update(line)
                yield line
        if digest.hexdigest() != ref.sha256:
            raise Invalid(
                f"{contract.path} changed after its gate was asked",
                expected=f"sha256 {ref.sha256}",
                got=f"sha256 {digest.hexdigest()}",
            )


def _line(
    contract: FileContract, ordinal: int, timed: Timed, model: type[BaseModel]
) -> ArtifactLine:
    """One record as its file holds it; ContractBroken where span or payload is not allowed."""
    try:
        return ArtifactLine(
            ordinal=ordinal,
            span_start_ms=timed.start_ms,
            span_end_ms=timed.end_ms,
            payload=model.model_validate(timed.payload.model_dump()).model_dump(mode="json"),
        )
    except ValidationError as error:
        raise ContractBroken(
            f"record {ordinal} of {contract.path} breaks {contract.schema} "
            f"version {contract.schema_version}",
            got=str(error),
        ) from error
