"""A projection: what queries ask of the payloads of one type, in columns with a key of its own."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

KEY = ("asset_key", "run_key", "ordinal", "type_key", "span_start_ms", "span_end_ms")
"""The columns that every projection has."""

_NAME = r"[a-z][a-z0-9_]{0,50}"


ColumnType = Literal["text", "integer", "bigint", "double precision", "boolean", "tsvector"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column, and how its value comes from an artifact."""

    name: str
    type: ColumnType
    value: str
    """A PostgreSQL expression over `payload`, `ordinal`, `span_start_ms`, `span_end_ms`,
    `schema_version` and `text_config`: `payload ->> 'label'`."""


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A table with a row for each artifact of a type, filled when a run is ingested.

    Beside its own columns it has those of `KEY`. It is derived: `filmgate db
    rebuild-projections` makes it again. Another form of it is another projection, by another name.
    """

    name: str
    artifact_type: str
    columns: tuple[Column, ...]
    by: tuple[str, ...] = ()
    """Columns that are asked for by value; the key leads with them, then goes by time."""
    where: str = "true"
    """Which artifacts have a row."""

    def __post_init__(self) -> None:
        for name in (self.name, *(column.name for column in self.columns)):
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"no name for a table or a column: {name!r}")
        if not self.columns or len({c.name for c in self.columns}) < len(self.columns):
            raise ValueError(f"{self.name} needs columns, each with a name of its own")
        if strange := [c.type for c in self.columns if c.type not in get_args(ColumnType)]:
            raise ValueError(f"{self.name}: {strange[0]!r} is none of {get_args(ColumnType)}")
        if taken := sorted({column.name for column in self.columns} & set(KEY)):
            raise ValueError(f"{self.name} has {', '.join(taken)} anyway")
        if unknown := set(self.by) - {column.name for column in self.columns}:
            raise ValueError(f"{self.name} has no column {', '.join(sorted(unknown))}")
