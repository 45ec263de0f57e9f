"""Groups with one command per pipeline: `filmgate run NAME` and `filmgate plan NAME`."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer._click import Command

from filmgate.cli.arguments import AsJson
from filmgate.cli.fields import CommandField, fields_of, keyword, parse_fields, with_parameters
from filmgate.cli.lazy_group import CommandSummary, LazyGroup, make_command
from filmgate.cli.text import examples
from filmgate.core.errors import Invalid, UsageError, unknown_name
from filmgate.core.ids import Layout
from filmgate.core.pipeline import Input, Pipeline
from filmgate.core.run_request import parse_names
from filmgate.services.query_context import DatabaseQueries
from filmgate.services.run_options import RunOptions
from filmgate.wiring import pipelines
from filmgate.wiring import settings as installation

MAX_NAMES_IN_HELP = 8
"""Number of stages up to which the help of `--resume-from` lists them."""


class LogLevel(StrEnum):
    """Minimum severity of logged events."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


LogLevelOption = Annotated[
    LogLevel | None,
    typer.Option(case_sensitive=False, help="Log events of at least this severity on stderr."),
]
LogFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also append the run's events to this file.", readable=False),
]


OTHER_NAMES = frozenset({"source", "log_level", "log_file", "as_json"}) | {
    "--log-level",
    "--log-file",
    "--json",
    "--help",
}
"""Names of the other parameters of every command, and of their options."""


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

    def load(self, name: str) -> Command:
        """Create the command of a pipeline."""
        about = f"{self._summary.format(name=name)}."
        command = make_command(name, _command(pipelines.load(name), self._handle, about))
        command.help = f"{command.help}\n\n{self.help}"
        command.epilog = examples(f"filmgate {self.name} {pipelines.example(name)}")
        return command

    def unknown(self, name: str) -> UsageError:
        """Return the error for an unknown pipeline, or for an input without a pipeline name."""
        if not Path(name).suffix and not Path(name).exists():
            return unknown_name("pipeline", name, pipelines.names())
        return UsageError(
            "the name of the pipeline is missing",
            expected=f"filmgate {self.name} PIPELINE INPUT",
            got=f"filmgate {self.name} {name}",
            hint=f"Such as: filmgate {self.name} {pipelines.first_example()}. "
            f"Pipelines: {', '.join(pipelines.names())}",
        )


def _command(
    pipeline: Pipeline, handle: Callable[[PipelineRequest], None], about: str
) -> Callable[..., None]:
    """Return the function of a pipeline's command, from which Typer makes the command."""

    def command(
        *,
        source: Path | None = None,
        log_level: LogLevel | None,
        log_file: Path | None,
        as_json: bool,
        **given: object,
    ) -> None:
        _check_stages(given["stages"], pipeline)
        own = {field.name: given.pop(field.name) for field in fields_of(pipeline.options)}
        chosen = parse_fields(pipeline.options, own)
        options = parse_fields(RunOptions, given)
        is_named = options.run_id is not None or options.job_dir is not None
        if source is None and pipeline.inputs.default is not None and not is_named:
            source = pipeline.inputs.default(chosen, DatabaseQueries(installation.load()))
        request = PipelineRequest(
            pipeline=pipeline.plan.pipeline,
            source=source,
            options=options.with_values(
                settings={**chosen.stage_settings(), **options.settings},
                is_detailed=log_level is LogLevel.DEBUG,
            ),
            log_level=log_level,
            log_file=log_file,
            as_json=as_json,
        )
        handle(request)

    command.__doc__ = about
    _check_names(pipeline)
    return with_parameters(command, _parameters(pipeline))


def _check_names(pipeline: Pipeline) -> None:
    """Raise Invalid if an option of the pipeline has the name of another option of its command."""
    others = {*_names(fields_of(RunOptions)), *pipeline.inputs.line.names, *OTHER_NAMES}
    if taken := others.intersection(_names(fields_of(pipeline.options))):
        raise Invalid(
            f"options of the pipeline {pipeline.plan.pipeline} have names that are taken",
            expected="other names than those of the input and of options of every run",
            got=", ".join(sorted(taken)),
            hint="Rename these fields of its Options, or set the names of the options",
        )


def _names(fields: Iterable[CommandField]) -> Iterator[str]:
    """Yield the names of parameters, and of their options on the command line."""
    for field in fields:
        yield field.name
        for names in () if field.is_positional else field.option_names:
            yield from names.split("/")


def _check_stages(given: object, pipeline: Pipeline) -> None:
    """Raise UsageError if `--stages` names no stage, as where a variable of a script is empty."""
    if isinstance(given, str) and not parse_names(given):
        raise UsageError(
            f"--{'passes' if pipeline.layout is Layout.JOB else 'stages'} is empty",
            expected=f"one or more of {', '.join(pipeline.plan.names)}, separated by commas",
            got=repr(given),
            hint="Omit the option to run all of them",
        )


def _parameters(pipeline: Pipeline) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a pipeline's command."""
    yield _input_parameter(pipeline.inputs)
    for field in fields_of(pipeline.options):
        yield field.parameter()
    for field in sorted(fields_of(RunOptions), key=lambda field: field.is_own):
        line = field.line
        if field.name == "resume_from" and len(pipeline.plan.names) <= MAX_NAMES_IN_HELP:
            names = ", ".join(pipeline.plan.names)
            line = replace(line, help=f"{field.info.description} Stages: {names}.")
        yield replace(field, line=line).parameter()
    yield keyword("log_level", LogLevelOption, default=None)
    yield keyword("log_file", LogFile, default=None)
    yield keyword("as_json", AsJson, default=False)


def _input_parameter(inputs: Input) -> inspect.Parameter:
    line = inputs.line
    taken: object
    if line.is_argument:
        taken = typer.Argument(
            metavar=line.metavar, help=line.help, show_default=False, readable=False
        )
    else:
        taken = typer.Option(*line.names, metavar=line.metavar, help=line.help, readable=False)
    if inputs.is_required:
        return keyword("source", Annotated[Path, taken], default=inspect.Parameter.empty)
    return keyword("source", Annotated[Path | None, taken], default=None)
