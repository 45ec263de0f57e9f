"""Queries and actions: one definition each, from which commands, endpoints and clients derive."""

import inspect
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol

from filmgate.core.command import A, P, Printer
from filmgate.core.database import ReadSession, WriteSession
from filmgate.core.objects import OpenStore

_QUERY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PATH_FIELD = re.compile(r"\{(.*?)\}")


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
    without_words: "AnyQuery | None" = None
    """The query that the command runs if its words are missing."""

    def __post_init__(self) -> None:
        """Raises ValueError if the name or the path cannot be that of a query."""
        if not _QUERY.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} cannot be the name of a query: expected {_QUERY.pattern}"
            )
        names = set(_PATH_FIELD.findall(self.path))
        if not self.path.startswith("/") or not names <= self.parameters.model_fields.keys():
            raise ValueError(
                f"{self.path!r} cannot be the path of query {self.name!r}: expected /…, with "
                f"parameters of the query in braces"
            )

    @property
    def description(self) -> str:
        """The docstring of `run`, as one paragraph."""
        return " ".join((self.run.__doc__ or "").split())

    @property
    def path_fields(self) -> tuple[str, ...]:
        """Names of the parameters that are part of the path."""
        fields = self.parameters.model_fields
        return tuple(name for name in fields if f"{{{name}}}" in self.path)


AnyQuery = Query[Any, Any]
"""A query of any parameters and answer, such as in a table of queries."""


class ActionContext(QueryContext, Protocol):
    """What an action may use."""

    @property
    def home(self) -> Path:
        """Folder of runs and of what Filmgate keeps."""

    @property
    def open_store(self) -> OpenStore:
        """Function that opens stores."""

    def write(self) -> AbstractContextManager[WriteSession]:
        """Open a session of the database for a block. Outside blocks of its `transaction`, each
        statement has a separate transaction."""


@dataclass(frozen=True, kw_only=True)
class Action(Generic[P, A]):
    """A command of a pipeline that changes or writes something."""

    name: str
    """The command, of two words: `db remove-book`."""
    parameters: type[P]
    answer: type[A]
    run: Callable[[ActionContext, P], A]
    """Executes the action. Its docstring is the help of the command."""
    show: Callable[[A, P, Printer], None]
    """Prints the answer."""
    has_wide: bool = False
    """Whether the command has the option `--wide`."""

    def __post_init__(self) -> None:
        group, _, command = self.name.partition(" ")
        if not (group.isidentifier() and command.replace("-", "_").isidentifier()):
            raise ValueError(f"{self.name!r} cannot be the name of an action: expected two words")

    @property
    def description(self) -> str:
        """The docstring of `run`."""
        return inspect.cleandoc(self.run.__doc__ or "")


AnyAction = Action[Any, Any]
"""An action of any parameters and answer."""
