"""The command of a pipeline, the same for all that can be asked of one: run it, foresee it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filmgate.cli.output import AsJson
from filmgate.cli.pipeline_options import own

if TYPE_CHECKING:
    from filmgate.app.run_options import RunOptions


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


Env = Annotated[str | None, typer.Option(help="What kind of work it is: dev, prod, …")]
AssetName = Annotated[str | None, typer.Option(help="Default: from the file's name.")]
RunName = Annotated[str | None, typer.Option(help="Name the run, or go on with it.")]
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
HowVerified = Annotated[Verify, typer.Option(help="full: read every file again at every gate.")]
Jobs = Annotated[
    int,
    typer.Option("--jobs", "--workers", min=1, max=256, help="Stages, and items, side by side."),
]
Where = Annotated[ExecutorName, typer.Option(help="Where stages work on many items.")]
NoIngest = Annotated[bool, typer.Option("--no-ingest", help="Leave the database alone.")]
Level = Annotated[LogLevel | None, typer.Option(case_sensitive=False)]
LogFile = Annotated[Path | None, typer.Option(help="Append every event to this file too.")]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed: the pipeline, its input, what is wanted of the run, and how it is told."""

    pipeline: str
    source: Path | None
    options: "RunOptions"
    log_level: LogLevel | None
    log_file: Path | None
    as_json: bool


def add(app: typer.Typer, pipeline: str, told: str, do: Callable[[Asked], None]) -> None:
    """Give `app` a command of the pipeline's name that does `do`; `told` is its help."""

    def command(
        source: Path | None = None,
        asset_id: AssetName = None,
        run_id: RunName = None,
        new: New = False,
        job_dir: JobDir = None,
        env: Env = None,
        profile: Profile = "balanced",
        settings: Set = None,
        stages: Stages = None,
        resume_from: ResumeFrom = None,
        force: Force = False,
        repair: Repair = False,
        strict: Strict = False,
        verify: HowVerified = Verify.FAST,
        jobs: Jobs = 1,
        executor: Where = ExecutorName.LOCAL,
        no_ingest: NoIngest = False,
        log_level: Level = None,
        log_file: LogFile = None,
        as_json: AsJson = False,
        **flags: Any,
    ) -> None:
        from filmgate.app.run_options import RunOptions  # keeps --help quick

        source, told = own(pipeline).told(source, flags)
        options = RunOptions(
            asset_id=asset_id,
            run_id=run_id,
            new=new,
            job_dir=job_dir,
            env=env,
            profile=profile,
            settings=(*told, *(settings or ())),
            stages=tuple(name.strip() for name in (stages or "").split(",") if name.strip()),
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
        asked = Asked(
            pipeline=pipeline,
            source=source,
            options=options,
            log_level=log_level,
            log_file=log_file,
            as_json=as_json,
        )
        do(asked)

    command.__doc__ = told
    _shape(command, pipeline)
    app.command(pipeline)(command)


def _shape(command: Callable[..., None], pipeline: str) -> None:
    """Give the command the options of its pipeline: Typer reads them off its signature."""
    signature = inspect.signature(command)
    options = dict(signature.parameters)
    mine = own(pipeline)
    default = inspect.Parameter.empty if mine.needs_source else None
    options["source"] = options["source"].replace(annotation=mine.source, default=default)
    del options["flags"]
    for name, annotation in mine.flags.items():
        options[name] = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )
    command.__annotations__ = {name: each.annotation for name, each in options.items()}
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(options.values())
    )
