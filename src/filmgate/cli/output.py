"""Output that commands share: results on stdout, messages on stderr, tables, runs."""

import os
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TextIO, cast

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from filmgate.cli.text import counted, printable
from filmgate.core.gates import Reason
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.records import UNEXPECTED
from filmgate.core.states import StageState

PIPE_WIDTH = 200
"""Width of console output that goes to a file or a program."""

STATE_STYLES = {
    "PENDING": "dim",
    "RUNNING": "cyan",
    "SUCCESS": "green",
    "FAILED": "bold red",
    "BLOCKED": "bold yellow",
    "SKIPPED": "dim",
    "INCOMPLETE": "yellow",
    "INTERRUPTED": "bold yellow",
    "QUEUED": "cyan",
}


@contextmanager
def results_only() -> Iterator[None]:
    """Redirect stdout to stderr for a block, for child processes too: stdout is for the result."""
    if cast("TextIO | None", sys.stdout) is None:  # closed before the process started
        yield
        return
    sys.stdout.flush()
    original = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(original, 1)
        os.close(original)


@cache
def stdout_console() -> Console:
    """The console for results."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


@cache
def stderr_console() -> Console:
    """The console for messages."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_table(
    heads: Iterable[str], rows: Iterable[Iterable[str]], right: Container[str] = ()
) -> None:
    """Print rows of markup under heads.

    On a terminal the columns are aligned, those in `right` to the right, and only the last one is
    wrapped, so that no number and no date is split. Elsewhere the cells are separated by tabs and
    not padded.
    """
    heads, rows = list(heads), [list(row) for row in rows]
    if not stdout_console().is_terminal:
        for row in [heads, *rows]:
            cells = (Text.from_markup(cell).plain.replace("\n", " ") for cell in row)
            print("\t".join(cells))  # noqa: T201 - no wrapping, no padding
        return
    stdout_console().print(table_of(heads, rows, right), soft_wrap=False)


def table_of(
    heads: Iterable[str], rows: Iterable[Iterable[str]], right: Container[str] = ()
) -> Table:
    """A table without lines, whose last column is wrapped where it must be."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    heads = list(heads)
    for number, head in enumerate(heads):
        is_last = number == len(heads) - 1
        table.add_column(
            head,
            overflow="fold",
            no_wrap=not is_last,
            justify="right" if head in right else "left",
        )
    for row in rows:
        table.add_row(*row)
    return table


def print_json(value: BaseModel) -> None:
    """Print one JSON document on stdout."""
    typer.echo(value.model_dump_json(by_alias=True))


def styled(state: str) -> str:
    """Markup of the state of a run or stage in its colour."""
    return f"[{STATE_STYLES[state]}]{state}[/]"


STAGE_HEADS = ("stage", "state", "seconds", "result")


def stage_rows(
    manifest: Manifest, progress: Mapping[str, Mapping[str, Any]] | None = None
) -> list[tuple[str, ...]]:
    """A row per stage: state, duration, counts or cause; for a running stage, its progress."""
    rows: list[tuple[str, ...]] = []
    for name, entry in manifest.stages.items():
        has_run = entry.duration_s is not None and entry.blocked is None
        seconds = f"{entry.duration_s:.2f}" if has_run else ""
        result = result_of(entry)
        if entry.status is StageState.RUNNING:
            result = _progress_text((progress or {}).get(name, {}))
        rows.append((name, styled(entry.status), seconds, escape(printable(result))))
    return rows


def print_stages(manifest: Manifest) -> None:
    """Print a table of the stages of a run."""
    print_table(STAGE_HEADS, stage_rows(manifest), right={"seconds"})


def _progress_text(progress: Mapping[str, Any]) -> str:
    done, total = progress.get("done"), progress.get("total")
    if not isinstance(done, int | float):
        return ""
    return f"{done / total:.0%}" if isinstance(total, int | float) and total else f"{done:,.0f}"


def print_reasons(manifest: Manifest) -> None:
    """Print why gates are blocked: each cause once, then the stages that it blocks; and where the
    traceback of an unexpected failure is."""
    causes: dict[str, list[Reason]] = {}
    blocked: list[str] = []
    for name, entry in manifest.stages.items():
        if entry.blocked is None:
            continue
        blocked.append(name)
        for reason in entry.blocked.reasons:
            if not _follows_from_another(reason, manifest):
                causes.setdefault(reason.path or f"stage {reason.stage}", []).append(reason)
    for subject, reasons in causes.items():
        _print_cause(subject, list(dict.fromkeys(reasons)))
    if blocked:
        stdout_console().print(Text(f"\nblocked stages: {', '.join(blocked)}"))
    for name, entry in manifest.stages.items():
        if entry.error is not None and entry.error.code == UNEXPECTED:
            run = f"{manifest.asset.id}/{manifest.run_id}"
            stdout_console().print(Text(f"\nTraceback of {name}: filmgate logs {run} {name}"))


def _follows_from_another(reason: Reason, manifest: Manifest) -> bool:
    """Whether a reason only says that a stage is blocked, whose own reasons are printed."""
    entry = manifest.stages.get(reason.stage or "")
    return reason.path is None and entry is not None and entry.blocked is not None


def _print_cause(subject: str, reasons: list[Reason]) -> None:
    first, *others = reasons
    line = Text.assemble(("\n" + first.code.value, "bold yellow"), f"  {printable(subject)}")
    stdout_console().print(line)
    stdout_console().print(Text(f"  expected: {first.expected}"))
    stdout_console().print(Text(f"  got:      {first.got}"))
    for other in others:
        stdout_console().print(Text(f"  also:     {other.code.value}: got {other.got}"))
    stdout_console().print(Text(f"  hint:     {first.action}"))


def result_of(entry: StageEntry) -> str:
    """The result of a stage in a few words: its cause, its error, or its counts and warnings."""
    if entry.blocked is not None:
        return ", ".join(dict.fromkeys(reason.code.value for reason in entry.blocked.reasons))
    if entry.error is not None:
        return entry.error.message
    warnings = "".join(f"\n! {warning['message']}" for warning in entry.warnings)
    return (entry.reason or _counts_text(entry)) + warnings


def _counts_text(entry: StageEntry) -> str:
    """Counts other than zero: the records of its files first, failed items next, then the rest."""
    records = {ref.records for ref in entry.artifacts}

    def rank(name: str) -> tuple[bool, bool, str]:
        return (entry.counts[name] not in records, name != "failed", name)

    return ", ".join(
        counted(entry.counts[name], name)
        for name in sorted(entry.counts, key=rank)
        if entry.counts[name]
    )
