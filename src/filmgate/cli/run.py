"""`filmgate run`: run a pipeline on an input, or resume a run."""

import typer

from filmgate.cli.output import results_only
from filmgate.cli.pipeline_group import LogLevel, PipelineGroup, PipelineRequest
from filmgate.cli.progress import stage_progress
from filmgate.cli.report import print_report
from filmgate.services.runs import Runs
from filmgate.wiring import logs, settings

ABOUT = """Without --run-id, resume the newest unfinished run on the same input, or start a new run
if there is none. Print the state of the run; with --json, print its manifest."""


def _run(request: PipelineRequest) -> None:
    logs.configure((request.log_level or LogLevel.WARNING).value)
    level = (request.log_level or LogLevel.INFO).value
    sinks = (logs.LogFile(request.log_file, level),) if request.log_file else ()
    with results_only(), stage_progress() as progress:
        report = Runs(settings.load()).run(
            request.pipeline, request.source, request.options, progress, progress.hashed, sinks
        )
    print_report(report, as_json=request.as_json)
    raise typer.Exit(report.exit_code)


group = PipelineGroup("run", ABOUT, "Run the {name} pipeline, or resume a run", _run)
