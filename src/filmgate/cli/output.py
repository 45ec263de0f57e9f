"""What all commands print alike: results on stdout, talk on stderr."""

import os
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import category

import typer

from filmgate.core.states import RunState, StageState

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

    from filmgate.core.gates import Reason
    from filmgate.core.manifest import Manifest, StageEntry

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

WIDE = 200
"""Columns where nobody's window is measured: a file, another program."""

STATE_STYLES = {
    "PENDING": "dim",
    "RUNNING": "cyan",
    "SUCCESS": "green",
    "FAILED": "bold red",
    "BLOCKED": "bold yellow",
    "SKIPPED": "dim",
    "INCOMPLETE": "yellow",
}


@contextmanager
def results_only() -> "Iterator[None]":
    """Send to standard error whatever others print while the block lasts, programs that they
    start included: standard output is for the result."""
    if sys.stdout is None:  # it was closed before we began
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@cache
def out() -> "Console":
    """The console for results."""
    from rich.console import Console  # keeps --help quick

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDE
    return console


@cache
def talk() -> "Console":
    """The console for everything that is not a result."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def columns(*heads: str, right: "Container[str]" = ()) -> "Table":
    """A table without lines; numbers stand to the `right`."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, overflow="fold", justify="right" if head in right else "left")
    return table


def print_json(value: "BaseModel") -> None:
    """One JSON document on stdout."""
    typer.echo(value.model_dump_json(by_alias=True))


def printable(text: str) -> str:
    """The text without characters that would steer a terminal."""
    return "".join(c if c in "\n\t" or category(c) != "Cc" else "\ufffd" for c in text)


def styled(state: StageState | RunState) -> str:
    """A state in its colour."""
    return f"[{STATE_STYLES[state.value]}]{state.value}[/]"


def stage_table(
    manifest: "Manifest", progress: "Mapping[str, Mapping[str, Any]] | None" = None
) -> "Table":
    """The stages of a run: state, time, what they counted, and what stopped them; how far they
    are, where that is known."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    table.add_column("result", overflow="fold")
    for name, entry in manifest.stages.items():
        is_told = entry.duration_s is not None and entry.blocked is None
        seconds = f"{entry.duration_s:.2f}" if is_told else ""
        result = result_of(entry)
        if entry.status is StageState.RUNNING:
            result = _how_far((progress or {}).get(name, {}))
        table.add_row(name, styled(entry.status), seconds, escape(printable(result)))
    return table


def _how_far(told: "Mapping[str, Any]") -> str:
    done, total = told.get("done"), told.get("total")
    if not isinstance(done, int | float):
        return ""
    return f"{done / total:.0%}" if isinstance(total, int | float) and total else f"{done:,.0f}"


def print_reasons(manifest: "Manifest") -> None:
    """Every reason why a gate is closed, in full; the same fault is told once. And where a
    failure that nobody expected is told in full."""
    from rich.text import Text

    from filmgate.core.records import UNEXPECTED  # keeps --help quick

    blocks: dict[Reason, list[str]] = {}
    for name, entry in manifest.stages.items():
        for reason in entry.blocked.reasons if entry.blocked else ():
            blocks.setdefault(reason, []).append(name)
    for reason, names in blocks.items():
        what = reason.path or f"stage {reason.stage}"
        out().print(Text.assemble(("\n" + reason.code.value, "bold yellow"), f"  {what}"))
        out().print(Text(f"  blocks:   {', '.join(names)}"))
        out().print(Text(f"  expected: {reason.expected}"))
        out().print(Text(f"  got:      {reason.got}"))
        out().print(Text(f"  do:       {reason.action}"))
    for name, entry in manifest.stages.items():
        if entry.error is not None and entry.error.code == UNEXPECTED:
            run = f"{manifest.asset.id}/{manifest.run_id}"
            out().print(Text(f"\nthe traceback of {name}: filmgate logs {run} {name}"))


def result_of(entry: "StageEntry") -> str:
    """What came of a stage, in a few words."""
    if entry.blocked is not None:
        return ", ".join(dict.fromkeys(reason.code.value for reason in entry.blocked.reasons))
    if entry.error is not None:
        return entry.error.message
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(entry.counts.items()))
    warnings = "".join(f"\n! {warning['message']}" for warning in entry.warnings)
    return (entry.reason or counts) + warnings
