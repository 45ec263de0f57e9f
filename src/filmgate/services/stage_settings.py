"""Descriptions of a pipeline's stage settings, read from the models that declare them."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from functools import cache
from itertools import pairwise
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from filmgate.core.command import Answer
from filmgate.core.pipeline import Pipeline, Sets


class StageSetting(Answer):
    """One setting of a stage."""

    stage: str
    name: str
    type: str
    """Type in Python's notation, such as `float` or `'native' | 'haystack'`."""
    default: object
    """Default value in the chosen profile."""
    range: str
    """Limits such as `>= 0, <= 1`; empty if there are none."""
    meaning: str


class PipelineOption(Answer):
    """An option of a pipeline, for `filmgate run` and the object `options` of a job."""

    name: str
    type: str
    range: str
    meaning: str
    sets: tuple[str, ...]
    """The stage settings that it sets, each `STAGE.SETTING`; empty if it sets them by a rule."""


class StageSettingsAnswer(Answer):
    """The options of a pipeline and the settings of its stages."""

    pipeline: str
    profile: str
    options: tuple[PipelineOption, ...]
    settings: tuple[StageSetting, ...]


def describe_stage_settings(
    pipeline: Pipeline, profile: str, stage: str | None
) -> StageSettingsAnswer:
    """List the settings of a pipeline, or of one stage, with their defaults in a profile.

    Raises Invalid for an unknown profile or stage.
    """
    defaults = pipeline.resolve(profile)
    stages = pipeline.plan.stages if stage is None else (pipeline.plan.find_stage(stage),)
    return StageSettingsAnswer(
        pipeline=pipeline.plan.pipeline,
        profile=profile,
        options=() if stage is not None else tuple(_options(pipeline)),
        settings=tuple(
            StageSetting(
                stage=each.name,
                name=name,
                type=_type_text(field),
                default=defaults[each.name][name],
                range=", ".join(_limits(field)),
                meaning=_meanings(each.settings).get(name, ""),
            )
            for each in stages
            for name, field in each.settings.model_fields.items()
        ),
    )


def _options(pipeline: Pipeline) -> Iterator[PipelineOption]:
    for name, field in pipeline.options.model_fields.items():
        yield PipelineOption(
            name=name,
            type=_type_text(field),
            range=", ".join(_limits(field)),
            meaning=field.description or "",
            sets=tuple(n for each in field.metadata if isinstance(each, Sets) for n in each.names),
        )


def _type_text(field: FieldInfo) -> str:
    return _annotation_text(field.annotation)


def _annotation_text(annotation: object) -> str:
    """Format a type without its limits, as `float | None` or `'native' | 'haystack'`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(map(repr, parts))
    if origin is Annotated:
        return _annotation_text(parts[0])
    if origin in {Union, UnionType}:
        return " | ".join(map(_annotation_text, parts))
    if origin is not None:
        inside = ", ".join("…" if part is ... else _annotation_text(part) for part in parts)
        return f"{origin.__name__}[{inside}]"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(repr(member.value) for member in annotation)
    return "None" if annotation is type(None) else str(getattr(annotation, "__name__", annotation))


def _all_limits(field: FieldInfo) -> list[object]:
    """Return the limits of a field, including those of the members of a union."""
    limits = list(field.metadata)
    waiting = [field.annotation]
    while waiting:
        annotation = waiting.pop()
        if get_origin(annotation) is Annotated:
            for each in get_args(annotation)[1:]:
                limits += each.metadata if isinstance(each, FieldInfo) else [each]
        if get_origin(annotation) in {Union, UnionType}:
            waiting += get_args(annotation)
    return limits


_SIGNS = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}


def _limits(field: FieldInfo) -> list[str]:
    limits = []
    for constraint in _all_limits(field):
        if type(constraint) in _SIGNS:
            attribute, sign = _SIGNS[type(constraint)]
            limits.append(f"{sign} {getattr(constraint, attribute)}")
        elif isinstance(constraint, MinLen):
            limits.append(f"at least {constraint.min_length} long")
        elif isinstance(constraint, MaxLen):
            limits.append(f"at most {constraint.max_length} long")
        elif (pattern := getattr(constraint, "pattern", None)) is not None:
            limits.append(f"matches {pattern}")
    return limits


@cache
def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings of a model's fields by name, including inherited fields."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        except (OSError, TypeError, SyntaxError):  # a class without source
            continue
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(statements):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found
