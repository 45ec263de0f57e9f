"""The built-in pipelines with their migrations and queries, by name.

Each module is imported at its first use.
"""

from typing import NamedTuple


class QueryEntry(NamedTuple):
    """A query of a pipeline: where it is, and how the help of `filmgate` presents it."""

    target: str
    """`module:attribute`."""
    summary: str
    """At most 60 characters, in the imperative."""
    examples: tuple[str, ...]


PIPELINES = {
    "episode": "filmgate.pipelines.episode.pipeline:EPISODE",
    "gameplay": "filmgate.pipelines.gameplay.pipeline:GAMEPLAY",
    "rulebook": "filmgate.pipelines.rulebook.pipeline:RULEBOOK",
}
"""`module:attribute` of each pipeline."""

MIGRATIONS = {"rulebook": "filmgate.pipelines.rulebook:migrations"}
"""`Pipeline.migrations` of pipelines that have tables, so that a connection finds the migrations
without importing the pipelines."""

QUERIES = {
    "ask": QueryEntry(
        "filmgate.pipelines.rulebook.queries:ASK",
        "Answer a question from the ingested rulebooks",
        ('filmgate ask "how much damage does fireball do"',),
    ),
    "rulebooks": QueryEntry("filmgate.pipelines.rulebook.queries:BOOKS", "", ()),
}
"""The queries of the pipelines. One without a summary gets no command."""
