"""Shared output functions: results on stdout, messages on stderr, tables, states of runs."""

import os
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TextIO, cast

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from filmgate.cli.text import counted, printable
from filmgate.core.gates import Reason
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.records import FailureCode
from filmgate.core.states import StageState

PIPE_WIDTH = 200
"""Width of console output that is written to a file or a pipe, in characters."""

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
    """Redirect stdout to stderr in a block, also for child processes; only results use stdout."""
    if cast("TextIO | None", sys.stdout) is None:  # stdout was closed before the process started
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
    """Return the console for results, which writes to stdout."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


@cache
def stderr_console() -> Console:
    """Return the console for messages, which writes to stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_table(
    heads: Iterable[str], rows: Iterable[Iterable[str]], right: Container[str] = ()
) -> None:
    """Print a table with column headings; the cells contain Rich markup.

    On a terminal the columns are aligned; those in `right` are right-aligned. Only the last column
    is wrapped, so that numbers and dates are not split. If stdout is not a terminal, the cells are
    separated by tabs, without padding.
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
    """Create a table without lines; only its last column is wrapped."""
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
    """Return the state of a run or stage as markup in the colour of the state."""
    return f"[{STATE_STYLES[state]}]{state}[/]"


STAGE_HEADS = ("stage", "state", "seconds", "result")


def stage_rows(
    manifest: Manifest, progress: Mapping[str, Mapping[str, object]] | None = None
) -> list[tuple[str, ...]]:
    """Return a row per stage: name, state, duration and result; a running stage has progress."""
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


def _progress_text(progress: Mapping[str, object]) -> str:
    done, total = progress.get("done"), progress.get("total")
    if not isinstance(done, int | float):
        return ""
    return f"{done / total:.0%}" if isinstance(total, int | float) and total else f"{done:,.0f}"


def print_reasons(manifest: Manifest) -> None:
    """Print each cause of blocked gates once, then the blocked stages, then the commands that show
    the tracebacks of unexpected errors."""
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
        if entry.error is not None and entry.error.code == FailureCode.UNEXPECTED:
            run = f"{manifest.asset.id}/{manifest.run_id}"
            stdout_console().print(Text(f"\nTraceback of {name}: filmgate logs {run} {name}"))


def _follows_from_another(reason: Reason, manifest: Manifest) -> bool:
    """Whether a reason names only another blocked stage, whose reasons are printed anyway."""
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
    """Return the result of a stage as text: blocking reasons, error, or counts and warnings."""
    if entry.blocked is not None:
        return ", ".join(dict.fromkeys(reason.code.value for reason in entry.blocked.reasons))
    if entry.error is not None:
        return entry.error.message
    warnings = "".join(f"\n! {warning['message']}" for warning in entry.warnings)
    return (entry.reason or _counts_text(entry)) + warnings


def _counts_text(entry: StageEntry) -> str:
    """Return nonzero counts as text: records in files first, then failed items, then others."""
    records = {ref.records for ref in entry.artifacts}

    def rank(name: str) -> tuple[bool, bool, str]:
        return (entry.counts[name] not in records, name != "failed", name)

    return ", ".join(
        counted(entry.counts[name], name)
        for name in sorted(entry.counts, key=rank)
        if entry.counts[name]
    )
