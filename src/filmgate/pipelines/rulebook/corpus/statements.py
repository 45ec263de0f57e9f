"""The named SQL queries of the corpus."""

from functools import cache

from filmgate.core.database import read_queries


@cache
def queries(file: str) -> dict[str, str]:
    """Read the queries of `sql/{file}.sql`, by name; comments are removed."""
    return read_queries("filmgate.pipelines.rulebook.corpus", file)
