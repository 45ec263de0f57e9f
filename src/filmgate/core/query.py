"""Queries: one definition each, from which command, endpoint and client method derive."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from filmgate.core.answers import Answer
from filmgate.core.database import ReadSession


class Parameters(BaseModel):
    """Base of the parameters of a query."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    metavar: str | None = None
    help: str | None = None
    """Help text, if it differs from the description."""
    completion: Completion | None = None


class QueryContext(Protocol):
    """What a query may use."""

    @property
    def env(self) -> str:
        """The installation's environment, such as `dev`."""

    def read(self) -> AbstractContextManager[ReadSession]:
        """Open a session of the database for a block."""


@dataclass(frozen=True, kw_only=True)
class Query(Generic[P, A]):
    """A question to the database that does not change it."""

    name: str
    """Name of the command, the operation of the HTTP API and the client's method."""
    path: str
    """Path of the endpoint; `{field}` is a parameter."""
    tag: str
    """Group of endpoints in the API description."""
    parameters: type[P]
    answer: type[A]
    run: Callable[[QueryContext, P], A]
    """Answers the query. Its docstring describes it in the API and in the help."""
    show: Callable[[A, P, Printer], None] | None
    """Prints an answer. None: the query gets no command."""
    has_wide: bool = False
    """Whether the command has the option `--wide`."""
    items: str | None = None
    """Field of the answer whose items the client's method yields, page by page."""
    without_words: "Query[Any, Any] | None" = None
    """The query that the command runs if its words are missing."""

    @property
    def description(self) -> str:
        """The docstring of `run`, as one paragraph."""
        return " ".join((self.run.__doc__ or "").split())

    @property
    def path_fields(self) -> tuple[str, ...]:
        """Names of the parameters that are part of the path."""
        fields = self.parameters.model_fields
        return tuple(name for name in fields if f"{{{name}}}" in self.path)
