"""Erasure of a person from runs: what a pipeline contributes, and the reports of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from filmgate.core.files import FileContract
from filmgate.core.people import Person


class _ErasureValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Traces(_ErasureValue):
    """Where the files of a run show a person. It contains neither the name nor any vector."""

    clusters: tuple[str, ...] = ()
    """Face clusters that show the person."""
    tracks: tuple[str, ...] = ()
    """Face tracks of these clusters."""
    mentions: tuple[str, ...] = ()
    """Paths of files that contain the name or the id of the person outside these clusters."""
    unsure: tuple[str, ...] = ()
    """Clusters that only resemble the person; they are not erased."""

    @property
    def is_empty(self) -> bool:
        """Whether the run does not show or name the person."""
        return not (self.clusters or self.tracks or self.mentions)


class RunContents(Protocol):
    """The files of a run from which a person is erased."""

    def read(self, contract: FileContract) -> bytes | None:
        """Return the bytes of a file, verified against its record; None if it was not made.

        Raises Invalid if the file is missing or was altered.
        """


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A person to find in a run."""

    person: Person
    others: tuple[Person, ...] = ()
    """The other known people: a cluster that is nearer to one of them shows them."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Clusters of the run that a user named after the person, with the digests of their vectors."""
    named_others: Mapping[str, str] = field(default_factory=dict)
    """Clusters of the run that a user named after other people."""


@dataclass(frozen=True, kw_only=True)
class PersonErasure:
    """How a person is erased from the runs of a pipeline."""

    find: Callable[[RunContents, Subject], Traces]
    """Finds a person in a run."""
    rewrite: Callable[[RunContents, Person, Traces], Mapping[str, bytes]]
    """Returns the new bytes of the files that contain data of the person, by path. Called again on
    its own result, it returns no files."""
    remake: tuple[str, ...] = ()
    """Stages that are executed again on the rewritten files instead, without the input of the run,
    because their files cannot be edited."""
