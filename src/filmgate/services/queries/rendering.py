"""Parts of answers that several queries print."""

from filmgate.core.answers import AssetAnswer, DataSource, Hit
from filmgate.core.command import Part, Printer
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.questions import SelectionMode
from filmgate.core.selection import Selection
from filmgate.media.time import format_clock

LEGACY_NOTE = "from a legacy product: model and config are unknown"


def print_hit(hit: Hit, printer: Printer, *, names_source: bool, indent: str = "") -> None:
    """Print the time and the text of a hit, with the matches marked."""
    is_ocr = hit.artifact.artifact_type == "ocr.text"
    source = "on screen  " if names_source and is_ocr else ""
    parts: list[Part] = []
    at = 0
    for start, end in hit.highlights:
        parts += [hit.snippet[at:start], (hit.snippet[start:end], "bold yellow")]
        at = end
    start_time = (format_clock(hit.artifact.span_start_ms), "cyan")
    printer.line(indent, start_time, "  ", (source, "dim"), *parts, hit.snippet[at:])


def clock_span(artifact: Envelope | LegacyArtifact) -> tuple[Part, ...]:
    """Return the time span of an artifact."""
    start, end = format_clock(artifact.span_start_ms), format_clock(artifact.span_end_ms)
    return ((f"{start} – {end}", "cyan"),)


def facts_of(artifact: Envelope | LegacyArtifact) -> str:
    """Return the payload as one line, without fields whose value is None."""
    known = {name: value for name, value in artifact.payload.items() if value is not None}
    return "  ".join(f"{name}={value}" for name, value in known.items())


def note_data_source(answer: AssetAnswer, printer: Printer) -> None:
    """Print a note if the artifacts come from a legacy product."""
    if answer.data_source is DataSource.LEGACY:
        printer.note(LEGACY_NOTE)


def note_unserved(answer: AssetAnswer, selection: Selection, printer: Printer) -> None:
    """Print a note if no completed run matches an explicit selection."""
    if not answer.runs and selection.mode is not SelectionMode.DEFAULT:
        printer.note(
            "No completed run matches the selection. To list profiles: "
            f"filmgate profiles {answer.asset_id}"
        )
