"""Print the answers of find, search, artifacts and jump."""

from itertools import groupby

from rich.markup import escape
from rich.text import Text

from filmgate.cli.output import stderr_console, stdout_console
from filmgate.cli.text import printable
from filmgate.core.answers import (
    ArtifactPage,
    AssetAnswer,
    DataSource,
    FindAnswer,
    Hit,
    JumpAnswer,
    SearchAnswer,
)
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.questions import TextSource
from filmgate.media.time import format_clock

LEGACY_LABEL = "[dim]from a legacy product: model and config are unknown[/]"


def print_find(answer: FindAnswer) -> None:
    """Print the time and text of every result, with the matches marked."""
    if not answer.hits:
        stderr_console().print("No result.")
    for hit in answer.hits:
        _print_hit(hit, names_source=answer.source is TextSource.ALL)
    if answer.next_cursor:
        stderr_console().print(
            f"More results exist: increase --limit, or use --cursor {answer.next_cursor}"
        )
    _print_data_source(answer)


def print_search(answer: SearchAnswer) -> None:
    """Print the time and text of every result, grouped by video."""
    if not answer.hits:
        stderr_console().print("No result.")
    for asset, hits in groupby(answer.hits, key=lambda hit: hit.artifact.asset_id):
        stdout_console().print(f"[bold]{escape(asset)}[/]")
        for hit in hits:
            _print_hit(hit, names_source=answer.source is TextSource.ALL, indent="  ")
    if answer.next_cursor:
        stderr_console().print(f"There are more: --cursor {answer.next_cursor}")


def print_artifacts(answer: ArtifactPage) -> None:
    """Print one artifact per line."""
    if not answer.artifacts:
        stderr_console().print("No artifact.")
    for artifact in answer.artifacts:
        facts = escape(printable(facts_of(artifact)))
        stdout_console().print(f"{span_of(artifact)}  {artifact.artifact_type}  {facts}")
    if answer.next_cursor:
        stderr_console().print(f"There are more: --cursor {answer.next_cursor}")
    _print_data_source(answer)


def print_jump(answer: JumpAnswer) -> None:
    """Print the artifact that a jump found, and its producer."""
    artifact = answer.artifact
    stdout_console().print(
        f"{span_of(artifact)}  {answer.kind.value}  {escape(printable(facts_of(artifact)))}"
    )
    if isinstance(artifact, Envelope):
        by = f"{artifact.producer} {artifact.producer_version}, profile {artifact.model_profile}"
        stdout_console().print(f"[dim]{artifact.artifact_id}  by {escape(by)}[/]")
    _print_data_source(answer)


def _print_hit(hit: Hit, *, names_source: bool, indent: str = "") -> None:
    snippet = Text(printable(hit.snippet))
    for start, end in hit.highlights:
        snippet.stylize("bold yellow", start, end)
    is_ocr = hit.artifact.artifact_type == "ocr.text"
    source = "on screen  " if names_source and is_ocr else ""
    start_time = (format_clock(hit.artifact.span_start_ms), "cyan")
    stdout_console().print(Text.assemble(indent, start_time, "  ", (source, "dim"), snippet))


def _print_data_source(answer: AssetAnswer) -> None:
    if answer.data_source is DataSource.LEGACY:
        stderr_console().print(LEGACY_LABEL)


def span_of(artifact: Envelope | LegacyArtifact) -> str:
    """Return the time span of an artifact as markup."""
    start, end = format_clock(artifact.span_start_ms), format_clock(artifact.span_end_ms)
    return f"[cyan]{start} – {end}[/]"


def facts_of(artifact: Envelope | LegacyArtifact) -> str:
    """Return the payload as one line, without fields whose value is None."""
    known = {name: value for name, value in artifact.payload.items() if value is not None}
    return "  ".join(f"{name}={value}" for name, value in known.items())
