"""Known people, and the face embeddings by which they are recognised."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import Sha256
from filmgate.core.payloads.payload import Label
from filmgate.core.plan import Producer

PEOPLE = "people"
"""Name of the resource that contains the known people."""


class _PeopleValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Reference(_PeopleValue):
    """The embedding of a face that was named after a person."""

    model: Label
    weights_sha256: Sha256 | None
    """Digest of the model's weights; embeddings of different weights cannot be compared."""
    vector: Annotated[tuple[float, ...], Field(min_length=1, max_length=4096)]


class Person(_PeopleValue):
    """A person who is known across runs."""

    person_id: Label
    name: Label
    references: tuple[Reference, ...]


class KnownPeople(_PeopleValue):
    """The resource `people`: a snapshot of the known people, identified by its digest."""

    schema_version: Literal[1] = 1
    people: tuple[Person, ...]

    def to_bytes(self) -> bytes:
        """Encode the snapshot as canonical JSON: the same people give the same bytes."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"


@dataclass(frozen=True, kw_only=True)
class FaceCluster:
    """The faces of a run that belong to one person."""

    cluster_id: str
    vector: tuple[float, ...]
    """Their mean embedding."""
    vector_sha256: str


@dataclass(frozen=True, kw_only=True)
class FaceClusters:
    """The clusters of faces of a run."""

    producer: Producer
    """The model that made the embeddings."""
    clusters: tuple[FaceCluster, ...]


class Likeness(_PeopleValue):
    """A known person who resembles an identity."""

    person_id: Label
    name: Label
    distance: Annotated[float, Field(ge=0)]
