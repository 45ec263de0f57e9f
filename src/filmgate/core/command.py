"""Commands as definitions: parameters, how the command line takes them, and how answers print."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Base of response models: frozen, without undeclared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Parameters(BaseModel):
    """Base of the parameters of a query, of an action and of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


P = TypeVar("P", bound=Parameters)
A = TypeVar("A", bound=Answer)

Part = str | tuple[str, str]
"""A part of a line: text, or text and its style, such as `dim`, `bold` or `cyan`."""


class Printer(Protocol):
    """Prints an answer for a person. Control characters in texts are replaced."""

    @property
    def is_wide(self) -> bool:
        """Whether to print all columns."""

    def line(self, *parts: Part) -> None:
        """Print a line of the result."""

    def note(self, text: str) -> None:
        """Print a message beside the result."""

    def table(
        self,
        heads: Sequence[str],
        rows: Iterable[Sequence[str]],
        right: Iterable[str] = (),
    ) -> None:
        """Print a table. The columns in `right` are right-aligned."""


class Completion(StrEnum):
    """What the shell completes for a parameter."""

    ASSETS = "assets"
    RUNS = "runs"
    STAGES = "stages"


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """Metadata of a field: how the command line takes the parameter.

    Without it, a field becomes an option with the field's name and description.
    """

    names: tuple[str, ...] = ()
    """Names of the option, if they differ from the field's name."""
    is_argument: bool = False
    is_words: bool = False
    """Whether the parameter is several arguments, which are joined by blanks."""
    is_offered: bool = True
    """Whether the command line has the parameter at all."""
    kind: type | None = None
    """Type that the command line takes, if it differs from the field's type, which is then parsed
    from it: `str`, or `list` for an option that can be repeated."""
    metavar: str | None = None
    help: str | None = None
    """Help text, if it differs from the description."""
    completion: Completion | None = None
