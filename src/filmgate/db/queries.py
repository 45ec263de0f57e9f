"""Named SQL queries, stored in the files `sql/*.sql`."""

from functools import cache

from filmgate.core.database import read_queries


@cache
def queries(file: str) -> dict[str, str]:
    """Read the queries of `sql/{file}.sql`, by name; comments are removed."""
    return read_queries("filmgate.db", file)
