"""What every payload contract has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json

Confidence = Annotated[float, Field(ge=0, le=1)]
"""How sure the producer is, 0 to 1. A producer that does not measure it says None."""

FrameNumber = Annotated[int, Field(ge=0)]
"""0-based, counted over decoded frames in order of presentation."""


class Payload(BaseModel):
    """A frozen record without room for anything undeclared, and without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def canonical(self) -> bytes:
        """Its canonical JSON: what orders payloads of the same span."""
        return canonical_json(self.model_dump(mode="json"))
