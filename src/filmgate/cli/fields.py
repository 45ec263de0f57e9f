"""Parameters of commands, made of the fields of the models that define them."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import annotated_types
import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from filmgate.cli.completion import complete_assets, complete_runs, complete_stages
from filmgate.core.command import CommandLine, Completion, Parameters
from filmgate.core.errors import Invalid, UsageError

COMPLETIONS = {
    Completion.ASSETS: complete_assets,
    Completion.RUNS: complete_runs,
    Completion.STAGES: complete_stages,
}

_Limits = dict[str, Any]
"""Limits `min` and `max` of a number."""

Model = TypeVar("Model", bound=Parameters)


@dataclass(frozen=True, kw_only=True)
class CommandField:
    """A field of a model, as the command line takes it."""

    name: str
    info: FieldInfo
    line: CommandLine
    is_own: bool
    """Whether the model itself declares the field, not a base of it."""

    @property
    def is_positional(self) -> bool:
        """Whether the command line takes the field without the name of an option."""
        return self.line.is_argument or self.line.is_words

    @property
    def label(self) -> str:
        """What to call the parameter in a message."""
        return self.line.metavar or self.name if self.is_positional else self.option_names[0]

    @property
    def option_names(self) -> tuple[str, ...]:
        """Names of the option."""
        return self.line.names or (f"--{self.name.replace('_', '-')}",)

    def value_of(self, value: object) -> object:
        """Return the value of the parameter; words are joined."""
        if not self.line.is_words or not isinstance(value, list | tuple):
            return value
        unknown = [word for word in value if word.startswith("--")]
        if unknown:
            raise UsageError(
                f"option {unknown[0]} does not exist",
                expected="words, or an option that --help lists",
                got=unknown[0],
            )
        return " ".join(value)

    def parameter(self, *, needs_words: bool = True) -> inspect.Parameter:
        """Return the parameter of a command's function; None means that it was not given.

        `needs_words`: whether a command without words is invalid.
        """
        required = self.info.is_required()
        default = self.info.default if self.info.default_factory is None else None
        kind: Any = list[str]
        limits: dict[str, Any] = {}
        if self.line.is_words:
            required = needs_words
        elif self.line.kind is not None:
            kind, default = list[str] if self.line.kind is list else self.line.kind, None
        else:
            kind, limits = _type_of(self.info.annotation, self.info.metadata)
        is_optional = not required and (default is None or self.line.is_words)
        return keyword(
            self.name,
            Annotated[kind | None if is_optional else kind, self._taken(limits)],
            default=inspect.Parameter.empty if required else (None if is_optional else default),
        )

    def _taken(self, limits: _Limits) -> object:
        options: dict[str, Any] = {
            "metavar": self.line.metavar,
            "help": self.line.help or self.info.description,
            "readable": False,  # Typer's check reports a refused path as a usage error
        }
        if self.line.completion is not None:
            options["autocompletion"] = COMPLETIONS[self.line.completion]
        if self.is_positional:
            return typer.Argument(show_default=False, **options)
        return typer.Option(..., *self.option_names, **options, **limits)


def fields_of(model: type[Parameters]) -> list[CommandField]:
    """Return the fields of a model that the command line offers.

    Arguments come first, then the options that the model declares, then inherited ones.
    """
    fields = []
    for name, info in model.model_fields.items():
        found = [each for each in info.metadata if isinstance(each, CommandLine)]
        line = found[-1] if found else CommandLine()
        is_own = name in model.__annotations__
        fields.append(CommandField(name=name, info=info, line=line, is_own=is_own))
    offered = [field for field in fields if field.line.is_offered]
    return sorted(
        offered, key=lambda f: (not f.is_positional, not f.is_positional and not f.is_own)
    )


def parse_fields(model: type[Model], given: Mapping[str, object]) -> Model:
    """Parse the values of a command line by field; None means that a field was not given.

    Raises UsageError for an invalid option or parameters that contradict each other, Invalid for an
    invalid argument.
    """
    fields = {field.name: field for field in fields_of(model)}
    values = {
        name: fields[name].value_of(value) if name in fields else value
        for name, value in given.items()
    }
    try:
        return model.model_validate(
            {name: value for name, value in values.items() if value is not None}
        )
    except ValidationError as error:
        fault = error.errors()[0]
        expected = fault["msg"][:1].lower() + fault["msg"][1:]
        field = fields.get(str(fault["loc"][0])) if fault["loc"] else None
        if field is None:  # a validator across fields, or of a field without an option
            raise UsageError("the parameters are invalid", expected=expected) from error
        kind = Invalid if field.line.is_argument else UsageError
        raise kind(
            f"{field.label} is invalid", expected=expected, got=repr(fault.get("input"))[:200]
        ) from error


def with_parameters(
    command: Callable[..., None], parameters: Iterable[inspect.Parameter]
) -> Callable[..., None]:
    """Give a function that takes keywords the signature from which Typer makes a command."""
    listed = list(parameters)
    command.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in listed}
    return command


def keyword(name: str, annotation: object, *, default: object) -> inspect.Parameter:
    """Return a keyword parameter."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _type_of(annotation: object, metadata: Iterable[object]) -> tuple[Any, _Limits]:
    """Return the type of a parameter without None, and its limits `min` and `max`."""
    limits: _Limits = {}
    for each in metadata:
        constraints = each.metadata if isinstance(each, FieldInfo) else (each,)
        for constraint in constraints:
            if isinstance(constraint, annotated_types.Ge):
                limits["min"] = constraint.ge
            if isinstance(constraint, annotated_types.Le):
                limits["max"] = constraint.le
    if get_origin(annotation) in {Union, UnionType}:
        (annotation,) = [each for each in get_args(annotation) if each is not NoneType]
    if get_origin(annotation) is Annotated:
        base, *inner = get_args(annotation)
        kind, more = _type_of(base, inner)
        return kind, more | limits
    return annotation, limits
