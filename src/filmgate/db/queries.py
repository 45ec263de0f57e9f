"""Named SQL queries, stored in the files `sql/*.sql`."""

import re
from functools import cache
from importlib import resources
from typing import LiteralString

_COMMENT = re.compile(r"^--.*\n|^\s+", re.MULTILINE)
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries(file: str) -> dict[str, LiteralString]:
    """Read the queries of `sql/{file}.sql`, by name; comments are removed."""
    text = resources.files("filmgate.db").joinpath("sql", f"{file}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: _COMMENT.sub("", body).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
