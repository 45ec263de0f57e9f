"""`filmgate run`: run a pipeline, or go on with a run."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from filmgate.cli.output import AsJson

app = typer.Typer(help="Run a pipeline, or go on with a run.", no_args_is_help=True)


class LogLevel(StrEnum):
    """How much is told."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@app.callback()
def pipelines() -> None:
    """Run a pipeline, or go on with a run."""


@app.command("episode")
def episode(
    video: Annotated[Path, typer.Argument(help="A video or sound file.")],
    asset_id: Annotated[str | None, typer.Option(help="Default: from the file's name.")] = None,
    run_id: Annotated[str | None, typer.Option(help="Name the run, or go on with it.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Always begin a new run.")] = False,
    job_dir: Annotated[str | None, typer.Option(help="The run's own folder.")] = None,
    profile: Annotated[str, typer.Option(help="fast, balanced or high_quality.")] = "balanced",
    stages: Annotated[
        str | None,
        typer.Option("--stages", "--passes", help="Only these, by comma; others are verified."),
    ] = None,
    resume_from: Annotated[str | None, typer.Option(help="This stage and those after it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is up to date.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make missing or altered files again.")
    ] = False,
    no_ingest: Annotated[
        bool, typer.Option("--no-ingest", help="Leave the database alone.")
    ] = False,
    log_level: Annotated[LogLevel, typer.Option(case_sensitive=False)] = LogLevel.WARNING,
    as_json: AsJson = False,
) -> None:
    """From a video to scenes and words, every result aligned in time.

    Without --run-id the newest unfinished run on the same input is resumed, else one is begun.
    Prints how the run stands: with --json, its manifest.
    """
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.episode_run import EpisodeOptions
    from filmgate.app.system import System
    from filmgate.cli.progress import stage_progress
    from filmgate.cli.report import print_report

    logs.configure(log_level.value)
    chosen = EpisodeOptions(
        asset_id=asset_id,
        run_id=run_id,
        new=new,
        job_dir=job_dir,
        profile=profile,
        stages=tuple(name.strip() for name in (stages or "").split(",") if name.strip()),
        resume_from=resume_from,
        force=force,
        repair=repair,
        ingest=not no_ingest,
    )
    with stage_progress() as progress:
        report = System(settings.load()).run_episode(video, chosen, progress, progress.hashed)
    print_report(report, as_json=as_json)
    raise typer.Exit(report.exit_code)
