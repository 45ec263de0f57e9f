"""`filmgate run`: run a pipeline, or go on with a run."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.app.run_options import RunOptions

app = typer.Typer(help="Run a pipeline, or go on with a run.", no_args_is_help=True)


class LogLevel(StrEnum):
    """How much is told."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Verify(StrEnum):
    """How files are held against their records while a run goes on."""

    FAST = "fast"
    FULL = "full"


class ExecutorName(StrEnum):
    """Where stages that fan out work on their items."""

    LOCAL = "local"
    RAY = "ray"


Source = Annotated[Path, typer.Argument(help="What to run it on.", show_default=False)]
AssetId = Annotated[str | None, typer.Option(help="Default: from the file's name.")]
RunId = Annotated[str | None, typer.Option(help="Name the run, or go on with it.")]
New = Annotated[bool, typer.Option("--new", help="Always begin a new run.")]
JobDir = Annotated[str | None, typer.Option(help="The run's own folder.")]
Profile = Annotated[str, typer.Option(help="Which settings of the models: fast, balanced, …")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="STAGE.SETTING=VALUE; may be given often.")
]
Stages = Annotated[
    str | None,
    typer.Option("--stages", "--passes", help="Only these, by comma; others are verified."),
]
ResumeFrom = Annotated[str | None, typer.Option(help="This stage and those after it.")]
Force = Annotated[bool, typer.Option("--force", help="Run again what is up to date.")]
Repair = Annotated[bool, typer.Option("--repair", help="Make missing or altered files again.")]

Strict = Annotated[bool, typer.Option("--strict", help="One bad item fails its stage.")]
Verification = Annotated[
    Verify, typer.Option("--verify", help="full: read every file again at every gate.")
]
Jobs = Annotated[
    int, typer.Option("--jobs", min=1, max=256, help="Stages, and items, side by side.")
]
Executor = Annotated[
    ExecutorName, typer.Option("--executor", help="Where stages work on many items.")
]
NoIngest = Annotated[bool, typer.Option("--no-ingest", help="Leave the database alone.")]
Level = Annotated[LogLevel | None, typer.Option("--log-level", case_sensitive=False)]
LogFile = Annotated[
    Path | None, typer.Option("--log-file", help="Append every event to this file too.")
]


@app.callback()
def pipelines() -> None:
    """Run a pipeline, or go on with a run."""


def add_pipeline(name: str) -> None:
    """Make `filmgate run NAME` a command."""

    def command(
        source: Source,
        asset_id: AssetId = None,
        run_id: RunId = None,
        new: New = False,
        job_dir: JobDir = None,
        profile: Profile = "balanced",
        settings: Set = None,
        stages: Stages = None,
        resume_from: ResumeFrom = None,
        force: Force = False,
        repair: Repair = False,
        strict: Strict = False,
        verify: Verification = Verify.FAST,
        jobs: Jobs = 1,
        executor: Executor = ExecutorName.LOCAL,
        no_ingest: NoIngest = False,
        log_level: Level = None,
        log_file: LogFile = None,
        as_json: AsJson = False,
    ) -> None:
        from filmgate.app.run_options import RunOptions  # keeps --help quick

        options = RunOptions(
            asset_id=asset_id,
            run_id=run_id,
            new=new,
            job_dir=job_dir,
            profile=profile,
            settings=tuple(settings or ()),
            stages=split(stages),
            resume_from=resume_from,
            force=force,
            repair=repair,
            strict=strict,
            verify_full=verify is Verify.FULL,
            jobs=jobs,
            executor=executor.value,
            ingest=not no_ingest,
            is_detailed=log_level is LogLevel.DEBUG,
        )
        _go(name, source, options, log_level, log_file, as_json=as_json)

    command.__doc__ = f"Run the pipeline {name} on an input.{WHICH_RUN}"
    app.command(name)(command)


WHICH_RUN = """

Without --run-id the newest unfinished run on the same input is resumed, else one is begun. Prints
how the run stands: with --json, its manifest."""


def split(names: str | None) -> tuple[str, ...]:
    """Names that were given by comma."""
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def _go(
    name: str,
    source: Path,
    options: "RunOptions",
    log_level: LogLevel | None,
    log_file: Path | None,
    *,
    as_json: bool,
) -> None:
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.output import results_only
    from filmgate.cli.progress import stage_progress
    from filmgate.cli.report import print_report

    logs.configure((log_level or LogLevel.WARNING).value)
    sinks = (logs.LogFile(log_file, (log_level or LogLevel.INFO).value),) if log_file else ()
    with results_only(), stage_progress() as progress:
        system = System(settings.load())
        report = system.run(name, source, options, progress, progress.hashed, sinks)
    print_report(report, as_json=as_json)
    raise typer.Exit(report.exit_code)
