"""The port to the database for code of pipelines: sessions, and SQL in named files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from importlib import resources
from typing import Any, Protocol

Row = dict[str, Any]
"""A row by the names of its columns."""

Parameters = Mapping[str, Any]
"""Values of `%(name)s` in a statement. A list is an array; JSON is passed as text."""


class Plans(StrEnum):
    """How PostgreSQL plans prepared statements: the values of `plan_cache_mode`."""

    AUTO = "auto"
    """PostgreSQL decides: the first five executions have custom plans, then a generic plan is used
    if its estimated cost is not higher. Every connection starts with this."""
    GENERIC = "force_generic_plan"
    """One plan for all parameters: for short statements that are sent repeatedly and find their
    rows by keys. Medians with the queries of `benchmarks/store.py` and 1,000,000 artifacts, this
    and AUTO: jump 0.23 and 0.37 ms, search 1.1 and 1.8 ms; find and list do not differ."""
    CUSTOM = "force_custom_plan"
    """A plan for the parameters of each execution: for statements whose best plan depends on them.
    `benchmarks/ask.py` compares it with GENERIC."""


class ReadSession(Protocol):
    """A connection to the database, used for one task."""

    def all(self, statement: str, parameters: Parameters) -> list[Row]:
        """Return all rows. The statement is prepared: the same few are executed repeatedly."""

    def one(self, statement: str, parameters: Parameters) -> Row | None:
        """Return the first row; None if there is none."""

    def one_required(self, statement: str, parameters: Parameters) -> Row:
        """Return the first row of a statement that always returns one."""

    def planned(self, plans: Plans) -> "ReadSession":
        """Return a session on the same connection whose statements are planned in this way."""


class WriteSession(ReadSession, Protocol):
    """A session that may change tables; the transaction is open unless stated otherwise."""

    def execute(self, statement: str, parameters: Parameters) -> int:
        """Execute a statement; return the number of rows it affected."""

    def copy(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Write rows with a statement `copy … from stdin`."""

    def transaction(self) -> AbstractContextManager[object]:
        """Execute a block in a transaction, or in a savepoint of the open transaction."""


_COMMENT = re.compile(r"^--.*\n|^\s+", re.MULTILINE)
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def read_queries(package: str, file: str) -> dict[str, str]:
    """Read the named queries in `sql/{file}.sql` of a package, by name, without comments.

    A query starts with a line `-- name: NAME`.
    """
    text = resources.files(package).joinpath("sql", f"{file}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: _COMMENT.sub("", body).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
