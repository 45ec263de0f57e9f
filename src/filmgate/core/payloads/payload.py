"""What every payload contract has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json

Confidence = Annotated[float, Field(ge=0, le=1)]
"""How sure the producer is, 0 to 1. A producer that does not measure it says None."""

Name = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
"""Some text; without NUL, which no database holds."""

Label = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
"""A name that is asked for by value: short enough for an index."""

Language = Annotated[str, Field(min_length=2, pattern=r"^[^\x00]*$")]
"""BCP 47 or ISO 639 code: `en`, `eng`, `pt-BR`."""

Index = Annotated[int, Field(ge=0, le=2**31 - 1)]

FrameNumber = Index
"""0-based, counted over decoded frames in order of presentation."""


class Payload(BaseModel):
    """A frozen record without room for anything undeclared, and without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def canonical(self) -> bytes:
        """Its canonical JSON: what orders payloads of the same span."""
        return canonical_json(self.model_dump(mode="json"))
