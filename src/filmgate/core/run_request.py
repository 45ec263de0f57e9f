"""The options of a run that a command line, an HTTP request and a program give alike."""

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

from filmgate.core.command import CommandLine, Completion, Parameters
from filmgate.core.errors import Invalid, UsageError

DEFAULT_PROFILE = "balanced"
MAX_WORKERS = 256

Name = Annotated[str, Field(min_length=1, max_length=200)]
Flag = Annotated[bool, Field(strict=True)]
"""A boolean that is not parsed from text or numbers: JSON has its own."""


def parse_settings(given: object) -> object:
    """Parse settings that a command line gives as texts `STAGE.SETTING=VALUE`.

    A value that is a list, an object, quoted text or null in JSON is parsed; other text stays text,
    which is parsed later according to the type of the setting. Other forms than a sequence of texts
    are returned unchanged. Raises Invalid for a text without a stage, a setting or a value.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        return given
    return dict(_parse_setting(str(text)) for text in given)


def _parse_setting(text: str) -> tuple[str, JsonValue]:
    name, equals, value = text.partition("=")
    stage, dot, setting = (part.strip() for part in name.partition("."))
    if not (equals and dot and setting):
        raise Invalid(
            "setting is invalid",
            expected="STAGE.SETTING=VALUE, such as scenes.enabled=false",
            got=repr(text),
        )
    return f"{stage}.{setting}", _parse_value(value.strip())


def _parse_value(text: str) -> JsonValue:
    if text[:1] in {"[", "{", '"'} or text == "null":
        try:
            parsed: JsonValue = json.loads(text)
        except ValueError:
            return text
        return parsed
    return text


def parse_names(text: str) -> tuple[str, ...]:
    """Split a text into its names, which are separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _split(given: object) -> object:
    """Split the names of stages in one text. Raises UsageError if the text contains none."""
    if not isinstance(given, str):
        return given
    names = parse_names(given)
    if not names:
        raise UsageError(
            "the list of stages is empty",
            expected="names of stages, separated by commas",
            got=repr(given),
            hint="Omit it to run all stages",
        )
    return names


class RunRequest(Parameters):
    """What to run, and how. An option of `filmgate run` is one field here or in a subclass."""

    asset_id: Annotated[
        Name | None,
        Field(description="Asset id. Default: derived from the input's name."),
        CommandLine(metavar="ID", completion=Completion.ASSETS),
    ] = None
    run_id: Annotated[
        Name | None,
        Field(
            description="Resume this run, or start one with this id. Default: resume the newest "
            "unfinished run on the same input, or start a new run."
        ),
        CommandLine(
            metavar="ID",
            help="Resume this run, or start one with this id.",
            completion=Completion.RUNS,
        ),
    ] = None
    new: Annotated[Flag, Field(description="Always start a new run.")] = False
    env: Annotated[
        Name | None,
        Field(description="Environment of the run, such as dev or prod."),
        CommandLine(metavar="NAME"),
    ] = None
    profile: Annotated[
        Name,
        Field(description="Model profile: fast, balanced or high_quality."),
        CommandLine(metavar="NAME"),
    ] = DEFAULT_PROFILE
    settings: Annotated[
        dict[Name, JsonValue],
        Field(max_length=200, description="Values of stage settings by `STAGE.SETTING`."),
        BeforeValidator(parse_settings),
        CommandLine(
            names=("--set",),
            kind=list,
            metavar="STAGE.SETTING=VALUE",
            help="Change a stage setting; repeatable. `filmgate settings` lists all.",
        ),
    ] = Field(default_factory=dict)
    stages: Annotated[
        tuple[Name, ...],
        Field(max_length=100, description="Run only these stages; verify the others."),
        BeforeValidator(_split),
        CommandLine(
            names=("--stages", "--passes"),
            kind=str,
            metavar="A,B",
            completion=Completion.STAGES,
        ),
    ] = ()
    resume_from: Annotated[
        Name | None,
        Field(description="Run this stage and the stages after it."),
        CommandLine(metavar="STAGE", completion=Completion.STAGES),
    ] = None
    force: Annotated[Flag, Field(description="Run stages again even if they are up to date.")] = (
        False
    )
    repair: Annotated[
        Flag, Field(description="Run stages again if their files are missing or altered.")
    ] = False
    strict: Annotated[Flag, Field(description="Fail a stage if one of its items fails.")] = False
    workers: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            le=MAX_WORKERS,
            description="Number of stages, and of items of a stage, to process at a time.",
        ),
        CommandLine(names=("--jobs", "--workers"), metavar="N"),
    ] = 1
