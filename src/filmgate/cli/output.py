"""What all commands print alike: results on stdout, talk on stderr."""

from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.core.states import RunState, StageState

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

    from filmgate.core.manifest import Manifest, StageEntry

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

STATE_STYLES = {
    "PENDING": "dim",
    "RUNNING": "cyan",
    "SUCCESS": "green",
    "FAILED": "bold red",
    "BLOCKED": "bold yellow",
    "SKIPPED": "dim",
    "INCOMPLETE": "yellow",
}


@cache
def out() -> "Console":
    """The console for results."""
    from rich.console import Console  # keeps --help quick

    return Console(highlight=False, soft_wrap=True)


@cache
def talk() -> "Console":
    """The console for everything that is not a result."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: "BaseModel") -> None:
    """One JSON document on stdout."""
    typer.echo(value.model_dump_json(by_alias=True))


def styled(state: StageState | RunState) -> str:
    """A state in its colour."""
    return f"[{STATE_STYLES[state.value]}]{state.value}[/]"


def stage_table(manifest: "Manifest") -> "Table":
    """The stages of a run: state, time, what they counted, and what stopped them."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    table.add_column("result", overflow="fold")
    for name, entry in manifest.stages.items():
        seconds = "" if entry.duration_s is None else f"{entry.duration_s:.2f}"
        table.add_row(name, styled(entry.status), seconds, escape(result_of(entry)))
    return table


def result_of(entry: "StageEntry") -> str:
    """What came of a stage, in a few words."""
    if entry.blocked is not None:
        return "\n".join(str(reason) for reason in entry.blocked.reasons)
    if entry.error is not None:
        return entry.error.message
    counts = ", ".join(f"{count:,} {name}" for name, count in entry.counts.items())
    warnings = "".join(f"\n! {warning['message']}" for warning in entry.warnings)
    return (entry.reason or counts) + warnings
