"""The envelope of every artifact, its line in an artifact file, and its id."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from filmgate.core.digest import JsonDict, canonical_json
from filmgate.core.errors import Invalid
from filmgate.core.ids import ID_PATTERN
from filmgate.core.moments import MAX_MS

Text = Annotated[str, Field(min_length=1)]
"""A non-empty text."""

StorableText = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
"""A non-empty text without NUL, which PostgreSQL cannot store."""

Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC)),
]
"""A date and time in the years 1970 to 8999, which every program can represent."""

Int32 = Annotated[int, Field(ge=0, lt=1 << 31)]
Int64 = Annotated[int, Field(ge=0, lt=1 << 63)]
Id = Annotated[str, Field(pattern=ID_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

Milliseconds = Annotated[int, Field(ge=0, le=MAX_MS)]
"""A time in milliseconds on the asset's time line; 0 is where a player starts playback."""


class _Spanned(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    span_start_ms: Milliseconds
    span_end_ms: Milliseconds

    @model_validator(mode="after")
    def _check_span(self) -> Self:
        if self.span_start_ms > self.span_end_ms:
            raise ValueError(
                f"span ends before it starts: got {self.span_start_ms}–{self.span_end_ms} ms"
            )
        return self


class ArtifactLine(_Spanned):
    """One record of an artifact file. Fields common to all records are in the ArtifactRef."""

    ordinal: Annotated[int, Field(ge=0)]
    payload: JsonDict

    def to_bytes(self) -> bytes:
        """Encode the record as one line of canonical JSON, including the line feed."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    def precedes(self, other: "ArtifactLine") -> bool:
        """Whether this record sorts before `other` in a file: by span, then by payload."""
        span = (self.span_start_ms, self.span_end_ms)
        other_span = (other.span_start_ms, other.span_end_ms)
        if span != other_span:
            return span < other_span
        return canonical_json(self.payload) < canonical_json(other.payload)


class NewArtifact(_Spanned):
    """A time-aligned artifact with its provenance, before it has an ordinal in its run."""

    asset_id: Id
    artifact_type: Text
    schema_version: Annotated[int, Field(ge=1)]
    payload: JsonDict
    producer: Text
    producer_version: Text
    model_profile: Text
    config_hash: Digest
    input_hash: Digest
    run_id: Id
    created_at: AwareDatetime


class Envelope(NewArtifact):
    """A time-aligned artifact with its provenance. No field is null or empty."""

    artifact_id: Text


class LegacyArtifact(_Spanned):
    """A result of an older product, without provenance."""

    artifact_id: Text
    asset_id: Id
    artifact_type: Text
    payload: JsonDict
    source: Text
    """The file or table from which the result was imported."""


def artifact_id(asset_id: str, run_id: str, artifact_type: str, ordinal: int) -> str:
    """Format an artifact id: `{asset_id}:{run_id}:{artifact_type}:{ordinal}`.

    Ingesting the same run again gives the same ids.
    """
    return f"{asset_id}:{run_id}:{artifact_type}:{ordinal}"


def parse_artifact_id(text: str) -> tuple[str, str, str, int]:
    """Parse an artifact id into asset id, run id, artifact type and ordinal.

    Raises Invalid if `text` is not an artifact id.
    """
    parts = text.split(":")
    is_valid = len(parts) == ID_PARTS and all(parts) and parts[-1].isascii() and parts[-1].isdigit()
    if not is_valid or len(parts[-1]) > MAX_ORDINAL_DIGITS:
        raise Invalid(
            "artifact id is invalid",
            expected="asset_id:run_id:artifact_type:ordinal",
            got=repr(text[:200]),
        )
    asset_id, run_id, artifact_type, ordinal = parts
    return asset_id, run_id, artifact_type, int(ordinal)


ID_PARTS = 4
MAX_ORDINAL_DIGITS = 9
