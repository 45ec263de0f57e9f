"""The base of payload contracts, and types that several of them use."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json

Confidence = Annotated[float, Field(ge=0, le=1)]
"""Confidence of the producer, 0 to 1; None if the producer does not measure it."""

Label = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
"""A name that is queried by value, short enough for an index; without NUL."""

Language = Annotated[str, Field(min_length=2, pattern=r"^[^\x00]*$")]
"""BCP 47 or ISO 639 code: `en`, `eng`, `pt-BR`."""

Index = Annotated[int, Field(ge=0, le=2**31 - 1)]

FrameNumber = Index
"""Number of a frame, 0-based, counted over decoded frames in presentation order."""


class Payload(BaseModel):
    """Base of payload contracts: frozen, without undeclared fields, without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def canonical(self) -> bytes:
        """Canonical JSON of the payload, by which payloads of the same span are sorted."""
        return canonical_json(self.model_dump(mode="json"))
