"""Write the files of an attempt: encode records, append bytes, and make references to files."""

import io
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import ContractBroken, first_fault
from filmgate.core.files import FileContract
from filmgate.core.ports import FileWriter, Timed
from filmgate.core.records import ArtifactRef

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]


class AttemptFileIO(io.RawIOBase):
    """A file of an attempt as a Python binary file that can only be appended to."""

    def __init__(self, file: FileWriter) -> None:
        self._file = file
        self._position = 0

    def writable(self) -> bool:
        """Return True: the file can be written."""
        return True

    def write(self, data: "Buffer") -> int:
        """Append all of `data`; raise ValueError if the file is closed."""
        if self.closed:
            raise ValueError("the file is closed: write to it inside its with block")
        written = bytes(memoryview(data).cast("B"))
        self._file.write(written)
        self._position += len(written)
        return len(written)

    def tell(self) -> int:
        """Number of bytes written so far."""
        return self._position


def make_artifact_ref(
    contract: FileContract, sha256: str, size_bytes: int, records: int
) -> ArtifactRef:
    """Make the manifest's reference to a file that was made under a contract."""
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


def encode_line(contract: FileContract, value: BaseModel) -> bytes:
    """Encode a document or record as one line of canonical JSON.

    Raises ContractBroken if the value is not of the contract's model, or its model cannot parse the
    line.
    """
    if contract.model is not None and not isinstance(value, contract.model):
        raise ContractBroken(
            f"a value for {contract.path} has the wrong type",
            expected=contract.model.__name__,
            got=type(value).__name__,
        )
    line = canonical_json(value.model_dump(mode="json", by_alias=True, warnings=False)) + b"\n"
    try:
        type(value).model_validate_json(line)
    except ValidationError as error:
        raise ContractBroken(
            f"a value for {contract.path} cannot be read back", got=first_fault(error)
        ) from error
    return line


def make_artifact_line(ordinal: int, timed: Timed) -> ArtifactLine:
    """Make a record of an artifact file; its payload is not validated yet.

    Raises ContractBroken if its span is invalid.
    """
    try:
        return ArtifactLine(
            ordinal=ordinal,
            span_start_ms=timed.start_ms,
            span_end_ms=timed.end_ms,
            payload=timed.payload.model_dump(),
        )
    except ValidationError as error:
        raise ContractBroken(f"the span of record {ordinal} is invalid", got=str(error)) from error
