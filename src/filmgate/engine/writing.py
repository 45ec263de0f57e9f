"""What is written into the files of an attempt: lines of records, bytes, and the name of it all."""

import io
from typing import Any

from pydantic import BaseModel, ValidationError

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import ContractBroken, first_fault
from filmgate.core.files import FileContract
from filmgate.core.ports import FileWriter, Timed
from filmgate.core.records import ArtifactRef


class Sink(io.RawIOBase):
    """An attempt's file as a Python file that is written from its start to its end."""

    def __init__(self, file: FileWriter) -> None:
        self._file = file
        self._position = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Append all of `data`; ValueError once the file is finished."""
        if self.closed:
            raise ValueError("the file is finished: write to it inside its block")
        written = bytes(memoryview(data).cast("B"))
        self._file.write(written)
        self._position += len(written)
        return len(written)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._position


def ref_to(contract: FileContract, sha256: str, size_bytes: int, records: int) -> ArtifactRef:
    """How the manifest names a file that was made under a contract."""
    return ArtifactRef(
        key=contract.key,
        path=contract.path,
        sha256=sha256,
        size_bytes=size_bytes,
        media_type=contract.media_type,
        schema_name=contract.schema,
        schema_version=contract.schema_version,
        records=records,
        artifact_type=contract.artifact_type,
    )


def line_of(contract: FileContract, value: BaseModel) -> bytes:
    """A document or record on a line of canonical JSON; ContractBroken where its model differs."""
    if contract.model is not None and not isinstance(value, contract.model):
        raise ContractBroken(
            f"{contract.path} holds another kind of {contract.kind}",
            expected=contract.model.__name__,
            got=type(value).__name__,
        )
    line = canonical_json(value.model_dump(mode="json", by_alias=True, warnings=False)) + b"\n"
    try:
        type(value).model_validate_json(line)
    except ValidationError as error:
        raise ContractBroken(
            f"{contract.path} would hold what its model cannot read", got=first_fault(error)
        ) from error
    return line


def timed_line(ordinal: int, timed: Timed) -> ArtifactLine:
    """A record before its payload was looked at; ContractBroken where its span is not allowed."""
    try:
        return ArtifactLine(
            ordinal=ordinal,
            span_start_ms=timed.start_ms,
            span_end_ms=timed.end_ms,
            payload=timed.payload.model_dump(),
        )
    except ValidationError as error:
        raise ContractBroken(f"record {ordinal} has no good span", got=str(error)) from error
