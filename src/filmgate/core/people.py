"""Known people: who they are, and the vectors that they are recognised by."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import Sha256
from filmgate.core.payloads.payload import Label

PEOPLE = "people"
"""The resource that holds them."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Reference(_Value):
    """A face that a person was named by."""

    model: Label
    weights_sha256: Sha256 | None
    """Whose vectors; those of different weights cannot be compared."""
    vector: Annotated[tuple[float, ...], Field(min_length=1, max_length=4096)]


class Person(_Value):
    """Somebody known across runs."""

    person_id: Label
    name: Label
    references: tuple[Reference, ...]


class KnownPeople(_Value):
    """The face bank as a run consults it: a snapshot, named by its digest."""

    schema_version: Literal[1] = 1
    people: tuple[Person, ...]

    def to_bytes(self) -> bytes:
        """Canonical: the same people make the same bytes."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"
