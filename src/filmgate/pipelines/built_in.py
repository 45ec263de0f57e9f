"""The built-in pipelines, their queries and actions; each module is imported at its first use."""

from typing import NamedTuple


class PipelineEntry(NamedTuple):
    """A pipeline: where it is, and an example of its command."""

    target: str
    """`module:attribute`."""
    example: str
    """Arguments of `filmgate run`, with the name of the pipeline."""
    migrations: str | None = None
    """`Pipeline.migrations`, which connections find here without importing the pipeline."""


class QueryEntry(NamedTuple):
    """A query or action of a pipeline: where it is, and how the help of `filmgate` presents it."""

    target: str
    """`module:attribute`."""
    summary: str
    """At most 60 characters, in the imperative."""
    examples: tuple[str, ...]


PIPELINES = {
    "episode": PipelineEntry(
        "filmgate.pipelines.episode.pipeline:EPISODE",
        "episode film.mp4",
    ),
    "gameplay": PipelineEntry(
        "filmgate.pipelines.gameplay.pipeline:GAMEPLAY",
        "gameplay --task-list list.txt --source-bucket s3://tars --manifest-bucket ./pt",
    ),
    "rulebook": PipelineEntry(
        "filmgate.pipelines.rulebook.pipeline:RULEBOOK",
        "rulebook --uploads books/",
        "filmgate.pipelines.rulebook:migrations",
    ),
}

QUERIES: dict[str, QueryEntry] = {
    "ask": QueryEntry(
        "filmgate.pipelines.rulebook.queries:ASK",
        "Answer a question from the ingested rulebooks",
        ('filmgate ask "how much damage does fireball do"',),
    ),
    "rulebooks": QueryEntry("filmgate.pipelines.rulebook.queries:BOOKS", "", ()),
}
"""The queries of the pipelines. One without a summary gets no command."""

ACTIONS: dict[str, QueryEntry] = {
    "db remove-book": QueryEntry(
        "filmgate.pipelines.rulebook.actions:REMOVE_BOOK",
        "Remove a rulebook from the corpus",
        ("filmgate db remove-book rules.pdf --env dev",),
    ),
    "gameplay report": QueryEntry(
        "filmgate.pipelines.gameplay.report.action:REPORT",
        "Report on quality manifests of game sessions",
        ("filmgate gameplay report q.parquet --manifest-bucket ./pt",),
    ),
}
"""The actions of the pipelines, by the two words of their commands."""

DEMO = "episode"
"""The pipeline that `filmgate demo` runs if none is named."""
