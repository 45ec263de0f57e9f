"""The shape of answers from what was ingested, on the command line and over HTTP alike."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from filmgate.core.envelope import Envelope
from filmgate.core.questions import Direction, JumpKind


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    asset_id: str
    runs: dict[str, str]
    """Which run the answer was served from, by artifact type."""
    data_source: Literal["artifact"] = "artifact"


class JumpAnswer(_Answer):
    """The nearest artifact in one direction."""

    kind: JumpKind
    direction: Direction
    from_ms: int
    artifact: Envelope


class Hit(BaseModel):
    """Something said that matches."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    artifact: Envelope
    snippet: str
    """The matching part of its text."""
    highlights: tuple[tuple[int, int], ...]
    """[start, end) of every match in the snippet, in characters."""


class FindAnswer(_Answer):
    """What matches, in order of time as seen from where one stands."""

    query: str
    source: Literal["transcript"] = "transcript"
    direction: Direction
    from_ms: int | None
    hits: tuple[Hit, ...]
    is_cut: bool
    """Whether there is more than was asked for."""


class Receipt(BaseModel):
    """What taking in a manifest did."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    producer: str
    asset_id: str
    run_id: str
    manifest_sha256: str
    status: str
    """`completed`, `failed`, `incomplete` or `running`; only a completed run has artifacts."""
    artifacts: dict[str, int]
    """How many of each type are in the database now."""
    is_replay: bool
    """Whether the same manifest was taken in before, and nothing changed."""
