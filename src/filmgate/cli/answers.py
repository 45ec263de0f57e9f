"""Answers as a person reads them."""

from itertools import groupby

from rich.markup import escape
from rich.text import Text

from filmgate.cli.output import out, printable, talk
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
from filmgate.media.time import clock_text

LABEL = "[dim]from what an older product left: nobody knows how it was made[/]"


def print_find(answer: FindAnswer) -> None:
    """When, and what was said, with the matches marked."""
    if not answer.hits:
        talk().print("nothing found")
    for hit in answer.hits:
        _print_hit(hit, is_shown=answer.source is TextSource.ALL)
    if answer.next_cursor:
        talk().print(f"… more: --limit, or --cursor {answer.next_cursor}")
    _print_source(answer)


def print_search(answer: SearchAnswer) -> None:
    """Video by video, when, and what was said or shown."""
    if not answer.hits:
        talk().print("nothing found")
    for asset, hits in groupby(answer.hits, key=lambda hit: hit.artifact.asset_id):
        out().print(f"[bold]{escape(asset)}[/]")
        for hit in hits:
            _print_hit(hit, is_shown=answer.source is TextSource.ALL, indent="  ")
    if answer.next_cursor:
        talk().print(f"… more: --cursor {answer.next_cursor}")


def print_artifacts(answer: ArtifactPage) -> None:
    """One a line."""
    if not answer.artifacts:
        talk().print("nothing there")
    for artifact in answer.artifacts:
        facts = escape(printable(facts_of(artifact)))
        out().print(f"{span_of(artifact)}  {artifact.artifact_type}  {facts}")
    if answer.next_cursor:
        talk().print(f"… more: --cursor {answer.next_cursor}")
    _print_source(answer)


def print_jump(answer: JumpAnswer) -> None:
    """Where one lands, and who says so."""
    artifact = answer.artifact
    out().print(
        f"{span_of(artifact)}  {answer.kind.value}  {escape(printable(facts_of(artifact)))}"
    )
    if isinstance(artifact, Envelope):
        by = f"{artifact.producer} {artifact.producer_version}, profile {artifact.model_profile}"
        out().print(f"[dim]{artifact.artifact_id}  by {escape(by)}[/]")
    _print_source(answer)


def _print_hit(hit: Hit, *, is_shown: bool, indent: str = "") -> None:
    snippet = Text(printable(hit.snippet))
    for start, end in hit.highlights:
        snippet.stylize("bold yellow", start, end)
    where = "on screen  " if is_shown and hit.artifact.artifact_type == "ocr.text" else ""
    when = (clock_text(hit.artifact.span_start_ms), "cyan")
    out().print(Text.assemble(indent, when, "  ", (where, "dim"), snippet))


def _print_source(answer: AssetAnswer) -> None:
    if answer.data_source is DataSource.LEGACY:
        talk().print(LABEL)


def span_of(artifact: Envelope | LegacyArtifact) -> str:
    """From when to when."""
    start, end = clock_text(artifact.span_start_ms), clock_text(artifact.span_end_ms)
    return f"[cyan]{start} – {end}[/]"


def facts_of(artifact: Envelope | LegacyArtifact) -> str:
    """The payload in one line, without what is unknown."""
    known = {name: value for name, value in artifact.payload.items() if value is not None}
    return "  ".join(f"{name}={value}" for name, value in known.items())
