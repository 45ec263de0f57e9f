"""Projections: tables for queries on the payloads of one artifact type."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

KEY = ("asset_key", "run_key", "ordinal", "type_key", "span_start_ms", "span_end_ms")
"""Columns that every projection has."""

_NAME = r"[a-z][a-z0-9_]{0,50}"


ColumnType = Literal["text", "integer", "bigint", "double precision", "boolean", "tsvector"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a projection, and the expression of its value."""

    name: str
    type: ColumnType
    value: str
    """PostgreSQL expression over `payload`, `ordinal`, `span_start_ms`, `span_end_ms`,
    `schema_version` and `text_config`, such as `payload ->> 'label'`."""


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A table with one row per artifact of a type, filled when a run is ingested.

    It has the columns of `KEY` and `columns`. `filmgate db rebuild-projections` rebuilds it. To
    change its columns, declare a projection with another name.
    """

    name: str
    artifact_type: str
    columns: tuple[Column, ...]
    by: tuple[str, ...] = ()
    """Columns that are queried by value; the primary key starts with them, followed by time."""
    where: str = "true"
    """PostgreSQL condition that an artifact must meet to get a row."""

    def __post_init__(self) -> None:
        for name in (self.name, *(column.name for column in self.columns)):
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"name of a table or column is invalid: {name!r}")
        if not self.columns or len({c.name for c in self.columns}) < len(self.columns):
            raise ValueError(f"projection {self.name} needs columns, all with different names")
        if unknown_types := [c.type for c in self.columns if c.type not in get_args(ColumnType)]:
            raise ValueError(
                f"column type {unknown_types[0]!r} of projection {self.name} is invalid: "
                f"expected one of {', '.join(get_args(ColumnType))}"
            )
        if taken := sorted({column.name for column in self.columns} & set(KEY)):
            raise ValueError(f"{self.name}: every projection already has {', '.join(taken)}")
        if unknown := set(self.by) - {column.name for column in self.columns}:
            raise ValueError(f"{self.name} has no column {', '.join(sorted(unknown))}")
