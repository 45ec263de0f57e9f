"""Validation of the contents of a file against its contract."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import FilmgateError, Unavailable, first_fault
from filmgate.core.files import FileContract, FileKind
from filmgate.core.gates import Examination
from filmgate.core.payloads.registry import Registry
from filmgate.core.redaction import redact, to_json_value


def examine(contract: FileContract, file: Path, registry: Registry) -> Examination:
    """Read a file to its end; return the number of its records and the first fault.

    Never raises: any error of a reader is a fault of the file.
    """
    try:
        records = _count(contract, file, registry)
    except FilmgateError as error:
        return Examination(records=None, fault=str(error))
    except Exception as error:  # noqa: BLE001 - a malformed file can make a reader raise anything
        fault = str(error).partition("\n")[0] or type(error).__name__
        return Examination(records=None, fault=redact(to_json_value(fault)))
    if records < contract.min_records:
        fault = f"too few records: expected at least {contract.min_records}; got {records}"
        return Examination(records=records, fault=fault)
    return Examination(records=records)


def next_artifact(
    contract: FileContract,
    previous: ArtifactLine | None,
    line: ArtifactLine,
    model: type[BaseModel],
) -> ArtifactLine:
    """Validate a record of an artifact file; return it with the payload as it is stored.

    Raises ValueError if the record must not follow `previous`, or its payload breaks its contract.
    """
    ordinal = 0 if previous is None else previous.ordinal + 1
    if line.ordinal != ordinal:
        raise ValueError(
            f"the ordinal of record {ordinal} of {contract.path} is wrong: "
            f"expected {ordinal}; got {line.ordinal}"
        )
    if previous is not None and line.precedes(previous):
        raise ValueError(
            f"{contract.path} is out of order at record {ordinal}: expected a span not before "
            f"{previous.span_start_ms} ms; got {line.span_start_ms} ms"
        )
    try:
        payload = model.model_validate(line.payload).model_dump(mode="json")
    except ValidationError as error:
        raise ValueError(
            f"record {ordinal} of {contract.path} does not match {contract.schema} "
            f"version {contract.schema_version}: {first_fault(error)}"
        ) from error
    return line.model_copy(update={"payload": payload})


def _count(contract: FileContract, file: Path, registry: Registry) -> int:
    """Count the records; raise ValueError at the first fault."""
    match contract.kind:
        case FileKind.JSON:
            if contract.model is not None:
                contract.model.model_validate_json(file.read_bytes())
            return 1
        case FileKind.RECORDS:
            return sum(1 for _ in _records(contract, file))
        case FileKind.ARTIFACTS:
            return sum(1 for _ in _artifacts(contract, file, registry))
        case FileKind.PARQUET:
            return _count_rows(contract, file)
        case FileKind.BINARY:
            return 1


def _records(contract: FileContract, file: Path) -> Iterator[BaseModel]:
    if contract.model is None:
        raise ValueError(f"the contract of {contract.path} has no model for its records")
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            try:
                yield contract.model.model_validate_json(line)
            except ValidationError as error:
                raise ValueError(f"record {number}: {first_fault(error)}") from error


def _artifacts(contract: FileContract, file: Path, registry: Registry) -> Iterator[ArtifactLine]:
    model = registry.model(contract.schema, contract.schema_version)
    previous: ArtifactLine | None = None
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            try:
                read = ArtifactLine.model_validate_json(line)
            except ValidationError as error:
                raise ValueError(f"record {number}: {first_fault(error)}") from error
            previous = next_artifact(contract, previous, read, model)
            yield previous


def _count_rows(contract: FileContract, file: Path) -> int:
    """Count the rows of a table; raise ValueError if a column is missing or has another type."""
    try:
        from pyarrow import parquet  # heavy, and only some pipelines make tables
    except ImportError as error:
        raise Unavailable(
            "pyarrow is not installed",
            expected="the packages of the extra 'parquet'",
            got="no pyarrow",
            hint="pip install 'filmgate[parquet]'",
        ) from error
    with parquet.ParquetFile(file) as table:
        found = {column.name: str(column.type) for column in table.schema_arrow}
        for name, kind in contract.columns.items():
            if found.get(name) != kind:
                raise ValueError(
                    f"column {name!r} does not match its contract: expected {kind}; "
                    f"got {found.get(name, 'no such column')}"
                )
        rows = sum(batch.num_rows for batch in table.iter_batches())
        if rows != table.metadata.num_rows:
            declared = table.metadata.num_rows
            raise ValueError(f"row count differs from the footer: expected {declared}; got {rows}")
        return int(rows)
