"""Answers as a person reads them."""

from rich.markup import escape
from rich.text import Text

from filmgate.cli.output import out, printable, talk
from filmgate.core.answers import FindAnswer, JumpAnswer
from filmgate.core.envelope import Envelope
from filmgate.media.time import clock_text


def print_find(answer: FindAnswer) -> None:
    """When, and what was said, with the matches marked."""
    if not answer.hits:
        talk().print("nothing found")
    for hit in answer.hits:
        snippet = Text(printable(hit.snippet))
        for start, end in hit.highlights:
            snippet.stylize("bold yellow", start, end)
        out().print(Text.assemble((clock_text(hit.artifact.span_start_ms), "cyan"), "  ", snippet))
    if answer.is_cut:
        talk().print(f"… more than {len(answer.hits)}; see --limit and --from-ms")


def print_jump(answer: JumpAnswer) -> None:
    """Where one lands, and who says so."""
    artifact = answer.artifact
    out().print(
        f"{span_of(artifact)}  {answer.kind.value}  {escape(printable(facts_of(artifact)))}"
    )
    by = f"{artifact.producer} {artifact.producer_version}"
    out().print(f"[dim]{artifact.artifact_id}  by {escape(by)}[/]")


def span_of(artifact: Envelope) -> str:
    """From when to when."""
    start, end = clock_text(artifact.span_start_ms), clock_text(artifact.span_end_ms)
    return f"[cyan]{start} – {end}[/]"


def facts_of(artifact: Envelope) -> str:
    """The payload in one line, without what is unknown."""
    known = {name: value for name, value in artifact.payload.items() if value is not None}
    return "  ".join(f"{name}={value}" for name, value in known.items())
