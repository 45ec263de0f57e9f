"""`filmgate settings`: list the settings of a pipeline's stages."""

import json
from textwrap import wrap
from typing import Annotated

import typer
from rich.text import Text

from filmgate.cli.arguments import AsJson, OptionalStage
from filmgate.cli.output import print_json, stdout_console
from filmgate.core.run_request import DEFAULT_PROFILE
from filmgate.services.stage_settings import PipelineOption, StageSetting, describe_stage_settings
from filmgate.wiring import pipelines

MAX_WIDTH = 100
"""Maximum width of wrapped text, in characters, even if the terminal is wider."""

COMMON = "enabled"
"""Name of the setting that every stage has."""


def settings(
    pipeline: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE", help="Name of the pipeline; `filmgate run --help` lists them."
        ),
    ],
    stage: OptionalStage = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="Model profile whose defaults are listed.")
    ] = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List the options of a pipeline and every stage setting: type, default, range and meaning.

    To change one: filmgate run PIPELINE INPUT --set STAGE.SETTING=VALUE
    """
    answer = describe_stage_settings(pipelines.load(pipeline), profile, stage)
    if as_json:
        print_json(answer)
        return
    console = stdout_console()
    if answer.options:
        console.print(f"[bold]options[/] of filmgate run {pipeline}")
        for option in answer.options:
            _print_option(option)
        console.print()
    console.print(f"Every stage has `{COMMON}` (true or false): false skips the stage.")
    shown = None
    for each in answer.settings:
        if each.stage != shown:
            console.print(f"\n[bold]{each.stage}[/]")
            shown = each.stage
        if each.name != COMMON:
            _print_setting(each)


def _print_option(option: PipelineOption) -> None:
    sets = f" Sets {', '.join(option.sets)}." if option.sets else ""
    head = f"{option.name}  {option.type.removesuffix(' | None')}"
    _print_entry(head, option.range, f"{option.meaning}{sets}")


def _print_setting(setting: StageSetting) -> None:
    head = f"{setting.stage}.{setting.name}={json.dumps(setting.default)}  {setting.type}"
    _print_entry(head, setting.range, setting.meaning)


def _print_entry(head: str, limits: str, meaning: str) -> None:
    width = min(stdout_console().width, MAX_WIDTH)
    for text, indent, style in (
        (f"{head}, {limits}" if limits else head, 2, ""),
        (meaning, 6, "dim"),
    ):
        for line in wrap(text, width - indent, break_on_hyphens=False):
            stdout_console().print(Text(" " * indent + line, style=style))
