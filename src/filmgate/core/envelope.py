"""The one envelope around every model output, and the line it has in an artifact file."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from filmgate.core.digest import canonical_json
from filmgate.core.errors import Invalid
from filmgate.core.ids import ID_PATTERN
from filmgate.core.moments import MAX_MS

Text = Annotated[str, Field(min_length=1)]
Word = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
"""What a database has to keep as it is: without NUL."""

Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC)),
]
"""A time of day that every program can hold."""

Int32 = Annotated[int, Field(ge=0, lt=1 << 31)]
Int64 = Annotated[int, Field(ge=0, lt=1 << 63)]
Id = Annotated[str, Field(pattern=ID_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

Milliseconds = Annotated[int, Field(ge=0, le=MAX_MS)]
"""On the asset's own time line, which starts at 0 where a player starts."""


class _Spanned(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    span_start_ms: Milliseconds
    span_end_ms: Milliseconds

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Self:
        if self.span_start_ms > self.span_end_ms:
            raise ValueError(
                f"a span starts before it ends, got {self.span_start_ms}–{self.span_end_ms} ms"
            )
        return self


class ArtifactLine(_Spanned):
    """One record of an artifact file. What holds for all of them stands in the ArtifactRef."""

    ordinal: Annotated[int, Field(ge=0)]
    payload: dict[str, Any]

    def to_bytes(self) -> bytes:
        """One line of canonical JSON, with its line feed."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    def precedes(self, other: "ArtifactLine") -> bool:
        """Whether this record belongs before `other` in a file: by span, then by payload."""
        mine = (self.span_start_ms, self.span_end_ms)
        others = (other.span_start_ms, other.span_end_ms)
        if mine != others:
            return mine < others
        return canonical_json(self.payload) < canonical_json(other.payload)


class NewArtifact(_Spanned):
    """A time-aligned artifact with its whole provenance, before it has its place in a run."""

    asset_id: Id
    artifact_type: Text
    schema_version: Annotated[int, Field(ge=1)]
    payload: dict[str, Any]
    producer: Text
    producer_version: Text
    model_profile: Text
    config_hash: Digest
    input_hash: Digest
    run_id: Id
    created_at: AwareDatetime


class Envelope(NewArtifact):
    """A time-aligned artifact with its whole provenance. Nothing in it is null or empty."""

    artifact_id: Text


class LegacyArtifact(_Spanned):
    """A result that an older product left: nothing is known of who made it, and how."""

    artifact_id: Text
    asset_id: Id
    artifact_type: Text
    payload: dict[str, Any]
    source: Text
    """The file or table that it came from."""


def artifact_id(asset_id: str, run_id: str, artifact_type: str, ordinal: int) -> str:
    """`{asset_id}:{run_id}:{artifact_type}:{ordinal}`: the same again on a replay."""
    return f"{asset_id}:{run_id}:{artifact_type}:{ordinal}"


def parse_artifact_id(text: str) -> tuple[str, str, str, int]:
    """Asset, run, type and ordinal; Invalid where the text is no artifact's id."""
    parts = text.split(":")
    is_good = len(parts) == ID_PARTS and all(parts) and parts[-1].isascii() and parts[-1].isdigit()
    if not is_good or len(parts[-1]) > MAX_ORDINAL_DIGITS:
        raise Invalid(
            "this is no artifact id",
            expected="asset_id:run_id:artifact_type:ordinal",
            got=repr(text[:200]),
        )
    asset_id, run_id, artifact_type, ordinal = parts
    return asset_id, run_id, artifact_type, int(ordinal)


ID_PARTS = 4
MAX_ORDINAL_DIGITS = 9
