"""Groups with one command per pipeline: `filmgate run NAME` and `filmgate plan NAME`."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from filmgate.cli.arguments import AsJson, Environment
from filmgate.cli.completion import complete_runs, complete_stages
from filmgate.cli.lazy_group import CommandSummary, LazyGroup, make_command
from filmgate.cli.pipeline_options import flags_of
from filmgate.cli.text import examples
from filmgate.core.errors import UsageError, unknown_name
from filmgate.services.run_options import RunOptions
from filmgate.wiring import pipelines


class LogLevel(StrEnum):
    """Minimum severity of logged events."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Verify(StrEnum):
    """How often gates hash files during a run."""

    FAST = "fast"
    FULL = "full"


class ExecutorName(StrEnum):
    """Executor of stages that process many items."""

    LOCAL = "local"
    RAY = "ray"


AssetId = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Asset id. Default: derived from the name of the input."),
]
RunId = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Resume this run, or start one with this id.",
        autocompletion=complete_runs,
    ),
]
New = Annotated[bool, typer.Option("--new", help="Always start a new run.")]
JobDir = Annotated[
    str | None, typer.Option(metavar="DIR", help="Folder of the run. Its name is the run id.")
]
Profile = Annotated[
    str, typer.Option(metavar="NAME", help="Model profile: fast, balanced or high_quality.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STAGE.SETTING=VALUE",
        help="Change a stage setting; repeatable. `filmgate settings` lists all.",
    ),
]
Stages = Annotated[
    str | None,
    typer.Option(
        "--stages",
        "--passes",
        metavar="A,B",
        help="Run only these stages; verify the others.",
        autocompletion=complete_stages,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Run stages again even if they are up to date.")
]
Repair = Annotated[
    bool, typer.Option("--repair", help="Run stages again if their files are missing or altered.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail a stage if one of its items fails.")]
VerifyMode = Annotated[
    Verify,
    typer.Option(help="fast: hash a file again only if it changed; full: hash it at every gate."),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "--workers",
        metavar="N",
        min=1,
        max=256,
        help="Number of stages, and of items of a stage, to process at a time.",
    ),
]
ExecutorOption = Annotated[
    ExecutorName, typer.Option(help="Process items on this machine or on Ray.")
]
NoIngest = Annotated[bool, typer.Option("--no-ingest", help="Do not ingest the finished run.")]
LogLevelOption = Annotated[
    LogLevel | None,
    typer.Option(case_sensitive=False, help="Log events of at least this severity on stderr."),
]
LogFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also append the run's events to this file."),
]


@dataclass(frozen=True, kw_only=True)
class PipelineRequest:
    """A parsed command line: pipeline, input, options of the run, and output options."""

    pipeline: str
    source: Path | None
    options: RunOptions
    log_level: LogLevel | None
    log_file: Path | None
    as_json: bool


class PipelineGroup(LazyGroup):
    """A group with a command for every pipeline, each with the options of that pipeline."""

    def __init__(
        self, name: str, about: str, summary: str, handle: Callable[[PipelineRequest], None]
    ) -> None:
        """`summary` contains the placeholder `{name}`; `handle` executes a parsed request."""
        super().__init__(name=name, help=about, no_args_is_help=True, rich_markup_mode=None)
        self._summary = summary
        self._handle = handle

    def summaries(self) -> Mapping[str, CommandSummary]:
        """Return the summaries of the built-in pipelines and of those in installed packages."""
        return {
            name: CommandSummary("Pipelines", self._summary.format(name=name))
            for name in pipelines.names()
        }

    def load(self, name: str) -> Any:
        """Create the command of a pipeline."""
        about = f"{self._summary.format(name=name)}."
        command = make_command(name, _command(name, self._handle, about))
        command.help = f"{command.help}\n\n{self.help}"
        example = EXAMPLES.get(name, f"{name} INPUT")
        command.epilog = examples(f"filmgate {self.name} {example}")
        return command

    def unknown(self, name: str) -> UsageError:
        """Return the error for an unknown pipeline, or for an input without a pipeline name."""
        if not Path(name).suffix and not Path(name).exists():
            return unknown_name("pipeline", name, pipelines.names())
        return UsageError(
            "the name of the pipeline is missing",
            expected=f"filmgate {self.name} PIPELINE INPUT",
            got=f"filmgate {self.name} {name}",
            hint=f"For a video: filmgate {self.name} episode {name}. "
            f"Pipelines: {', '.join(pipelines.names())}",
        )


EXAMPLES = {
    "episode": "episode film.mp4",
    "rulebook": "rulebook --uploads books/",
    "gameplay": "gameplay --task-list list.txt --source-bucket s3://tars --manifest-bucket ./pt",
}


def _command(
    pipeline: str, handle: Callable[[PipelineRequest], None], about: str
) -> Callable[..., None]:
    """Return the function of a pipeline's command; Typer reads the options from its signature."""

    def command(
        source: Path | None = None,
        asset_id: AssetId = None,
        run_id: RunId = None,
        new: New = False,
        job_dir: JobDir = None,
        env: Environment = None,
        profile: Profile = "balanced",
        settings: Set = None,
        stages: Stages = None,
        resume_from: str | None = None,
        force: Force = False,
        repair: Repair = False,
        strict: Strict = False,
        verify: VerifyMode = Verify.FAST,
        jobs: Jobs = 1,
        executor: ExecutorOption = ExecutorName.LOCAL,
        no_ingest: NoIngest = False,
        log_level: LogLevelOption = None,
        log_file: LogFile = None,
        as_json: AsJson = False,
        **flags: Any,
    ) -> None:
        own = flags_of(pipeline)
        if own.missing and source is None and job_dir is None and run_id is None:
            raise UsageError("the input is missing", expected=own.missing, got="none")
        source, own_settings = own.parse(source, flags)
        options = RunOptions(
            asset_id=asset_id,
            run_id=run_id,
            new=new,
            job_dir=job_dir,
            env=env,
            profile=profile,
            settings=(*own_settings, *(settings or ())),
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
        request = PipelineRequest(
            pipeline=pipeline,
            source=source,
            options=options,
            log_level=log_level,
            log_file=log_file,
            as_json=as_json,
        )
        handle(request)

    command.__doc__ = about
    _add_own_options(command, pipeline)
    return command


def _add_own_options(command: Callable[..., None], pipeline: str) -> None:
    """Add the options of a pipeline to the signature of its command."""
    signature = inspect.signature(command)
    options = dict(signature.parameters)
    own = flags_of(pipeline)
    default = inspect.Parameter.empty if own.needs_source else None
    options["source"] = options["source"].replace(annotation=own.source, default=default)
    stage_help = f"Run this stage{own.stage_names} and the stages after it."
    options["resume_from"] = options["resume_from"].replace(
        annotation=Annotated[
            str | None,
            typer.Option(metavar="STAGE", help=stage_help, autocompletion=complete_stages),
        ]
    )
    del options["flags"]
    for name, annotation in own.flags.items():
        options[name] = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )
    command.__annotations__ = {name: each.annotation for name, each in options.items()}
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(options.values())
    )
