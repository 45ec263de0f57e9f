"""`filmgate demo`: run a pipeline on a built-in sample and show results."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson
from filmgate.cli.output import print_json, stderr_console, stdout_console
from filmgate.cli.progress import StageProgress, stage_progress
from filmgate.cli.query import ask_and_print
from filmgate.cli.report import print_report
from filmgate.core.errors import UsageError, unknown_name
from filmgate.core.pipeline import Sample, SampleRun
from filmgate.services.queries import table
from filmgate.services.queries.entries import DEMO
from filmgate.services.query_context import DatabaseQueries
from filmgate.services.run_options import RunOptions, RunReport
from filmgate.services.runs import Runs
from filmgate.wiring import logs, pipelines, settings

FOLDER = "demo"
"""Folder of the samples in the home."""


def demo(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE", help="Pipeline whose sample is processed.", show_default=True
        ),
    ] = DEMO,
    only_make: Annotated[
        bool, typer.Option("--only-make", help="Make the sample, print its path, and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a sample, run a pipeline on it, and query the results."""
    name, only_make = _parse_name(pipeline, only_make=only_make)
    sample = pipelines.load(name).sample
    if sample is None:
        raise UsageError(f"pipeline {name} has no sample", hint="Try: filmgate demo")
    logs.configure("WARNING")
    chosen = settings.load()
    folder = chosen.home.expanduser() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with stage_progress(quiet=True) as progress:
        source = _make(sample, folder, progress)
        if only_make:
            typer.echo(str(source))
            return
        stderr_console().print(f"Running the {name} pipeline on [bold]{escape(str(source))}[/]")
        options = RunOptions(
            new=True,
            workers=sample.workers,
            settings=dict(sample.options(source).stage_settings()),
        )
        report = Runs(chosen).run(name, source, options, progress, progress.hashed)
    if as_json:
        print_json(report.manifest)
    else:
        _print_results(sample, report, source, DatabaseQueries(chosen))
    raise typer.Exit(report.exit_code)


def _parse_name(given: str, *, only_make: bool) -> tuple[str, bool]:
    """Return the name of the pipeline, and whether only to make the sample.

    `film`, deprecated, means the sample of the default pipeline, not processed.
    """
    if given == "film":
        return DEMO, True
    if given not in pipelines.names():
        raise unknown_name("pipeline", given, pipelines.names())
    return given, only_make


def _make(sample: Sample, folder: Path, progress: StageProgress) -> Path:
    def report(done: float, total: float) -> None:
        progress.stage_progress(f"making {sample.what}", done, total)

    return sample.make(folder, report)


def _is_action(name: str) -> bool:
    """Whether a name is that of an action, which has two words."""
    return " " in name


def _print_results(
    sample: Sample, report: RunReport, source: Path, queries: DatabaseQueries
) -> None:
    run = SampleRun(manifest=report.manifest, source=source, folder=report.folder)
    print_report(report, as_json=False)
    with queries.keep_running():
        for step in sample.steps(run):
            if report.ingested is None and not _is_action(step.name):
                continue  # queries read the database
            stdout_console().print(f"\n[bold]$ filmgate {escape(step.command)}[/]", soft_wrap=True)
            load = table.load_action if _is_action(step.name) else table.load
            query = load(step.name)
            ask_and_print(queries, query, query.parameters.model_validate(step.parameters))
    rows = list(sample.closing(run))
    width = max((len(label) for label, _ in rows), default=0)
    stdout_console().print()
    for label, line in rows:
        stdout_console().print(f"[bold]{label:{width}}[/]  {escape(line)}", soft_wrap=True)
    stdout_console().print(
        "[dim]filmgate is .venv/bin/filmgate; for scripts, most commands have --json[/]"
    )
