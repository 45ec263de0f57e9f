"""`filmgate run`: run a pipeline, or go on with a run."""

import typer

from filmgate.cli import pipeline_command
from filmgate.cli.pipeline_command import Asked, LogLevel

app = typer.Typer(help="Run a pipeline, or go on with a run.", no_args_is_help=True)

WHICH_RUN = """

Without --run-id the newest unfinished run on the same input is resumed, else one is begun. Prints
how the run stands: with --json, its manifest."""


@app.callback()
def pipelines() -> None:
    """Run a pipeline, or go on with a run."""


def add_pipeline(name: str) -> None:
    """Make `filmgate run NAME` a command."""
    told = f"Run the pipeline {name} on an input.{WHICH_RUN}"
    pipeline_command.add(app, name, told, _run)


def _run(asked: Asked) -> None:
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.output import results_only
    from filmgate.cli.progress import stage_progress
    from filmgate.cli.report import print_report

    logs.configure((asked.log_level or LogLevel.WARNING).value)
    level = (asked.log_level or LogLevel.INFO).value
    sinks = (logs.LogFile(asked.log_file, level),) if asked.log_file else ()
    with results_only(), stage_progress() as progress:
        report = System(settings.load()).run(
            asked.pipeline, asked.source, asked.options, progress, progress.hashed, sinks
        )
    print_report(report, as_json=asked.as_json)
    raise typer.Exit(report.exit_code)
