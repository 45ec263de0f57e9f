"""Commands of queries: each is made of the query's definition."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from rich.markup import escape
from rich.text import Text

from filmgate.cli.arguments import AsJson, Wide
from filmgate.cli.completion import complete_assets, complete_runs
from filmgate.cli.output import print_json, print_table, stderr_console, stdout_console
from filmgate.cli.text import printable
from filmgate.core.errors import Invalid, UsageError
from filmgate.core.query import A, CommandLine, Completion, P, Part, Query
from filmgate.services.queries import table
from filmgate.services.query_context import DatabaseQueries
from filmgate.wiring import settings

COMPLETIONS = {Completion.ASSETS: complete_assets, Completion.RUNS: complete_runs}
AS_JSON, WIDE = "as_json", "wide"


@dataclass(frozen=True, kw_only=True)
class ConsolePrinter:
    """Implementation of the port `Printer` on a terminal or a pipe."""

    is_wide: bool = False

    def line(self, *parts: Part) -> None:
        """Print a line on stdout."""
        texts = [(part, "") if isinstance(part, str) else part for part in parts]
        stdout_console().print(Text.assemble(*((printable(text), style) for text, style in texts)))

    def note(self, text: str) -> None:
        """Print a message on stderr."""
        stderr_console().print(Text(printable(text), style="dim"))

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()
    ) -> None:
        """Print a table on stdout."""
        cells = [[escape(printable(cell)) for cell in row] for row in rows]
        print_table(heads, cells, right=set(right))


def make(name: str) -> Any:
    """Return the command of a query, as a function with the signature that Typer needs."""
    query = table.load(name)

    def command(**given: Any) -> None:
        as_json, is_wide = given.pop(AS_JSON), given.pop(WIDE, False)
        words = next((field for field in _fields(query) if field.line.is_words), None)
        chosen = query
        if words is not None and query.without_words is not None and not given[words.name]:
            chosen = query.without_words
            given = {name: given[name] for name in chosen.parameters.model_fields}
        queries = DatabaseQueries(settings.load())
        ask_and_print(queries, chosen, given, as_json=as_json, is_wide=is_wide)

    command.__name__ = name
    command.__doc__ = query.description
    parameters = [field.parameter(query) for field in _fields(query)]
    if query.has_wide:
        parameters.append(_keyword(WIDE, Wide, default=False))
    parameters.append(_keyword(AS_JSON, AsJson, default=False))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def is_packaged(name: str) -> bool:
    """Whether an installed package brings a query of this name, with a command."""
    return name in table.packaged() and table.load(name).show is not None


def context_settings(name: str) -> dict[str, Any]:
    """Return how the command parses its line: words such as `-without` are part of a query."""
    return {"ignore_unknown_options": any(f.line.is_words for f in _fields(table.load(name)))}


def ask_and_print(
    queries: DatabaseQueries,
    query: Query[P, A],
    given: Mapping[str, Any],
    *,
    as_json: bool = False,
    is_wide: bool = False,
) -> None:
    """Answer a query and print the answer; `given`: values of its parameters by name."""
    parameters = parse_parameters(query, given)
    answer = queries.ask(query, parameters)
    if as_json or query.show is None:
        print_json(answer)
    else:
        query.show(answer, parameters, ConsolePrinter(is_wide=is_wide))


def parse_parameters(query: Query[P, A], given: Mapping[str, Any]) -> P:
    """Parse the parameters of a command line; None means that one was not given.

    Raises UsageError for an invalid option, Invalid for an invalid argument.
    """
    fields = {field.name: field for field in _fields(query)}
    values = {name: fields[name].value_of(value) for name, value in given.items()}
    try:
        return query.parameters.model_validate(
            {name: value for name, value in values.items() if value is not None}
        )
    except ValidationError as error:
        fault = error.errors()[0]
        field = fields[str(fault["loc"][0])]
        kind = Invalid if field.line.is_argument else UsageError
        raise kind(
            f"{field.label} is invalid",
            expected=fault["msg"][:1].lower() + fault["msg"][1:],
            got=repr(fault.get("input"))[:200],
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Field:
    """A parameter of a query, as the command line takes it."""

    name: str
    info: FieldInfo
    line: CommandLine

    @property
    def label(self) -> str:
        """What to call the parameter in a message."""
        if self.line.is_argument or self.line.is_words:
            return self.line.metavar or self.name
        return self.option_names[0]

    @property
    def option_names(self) -> tuple[str, ...]:
        """Names of the option."""
        return self.line.names or (f"--{self.name.replace('_', '-')}",)

    def value_of(self, value: Any) -> Any:
        """Return the value of the parameter; words are joined."""
        if not self.line.is_words or value is None:
            return value
        unknown = [word for word in value if word.startswith("--")]
        if unknown:
            raise UsageError(
                f"option {unknown[0]} does not exist",
                expected="words, or an option that --help lists",
                got=unknown[0],
            )
        return " ".join(value)

    def parameter(self, query: Query[Any, Any]) -> inspect.Parameter:
        """Return the parameter of the command's function."""
        kind, limits = _type_of(self.info.annotation, self.info.metadata)
        required = self.info.is_required()
        options: dict[str, Any] = {
            "metavar": self.line.metavar,
            "help": self.line.help or self.info.description,
        }
        if self.line.completion is not None:
            options["autocompletion"] = COMPLETIONS[self.line.completion]
        if self.line.is_words:
            kind, required = list[str], query.without_words is None
        annotation = kind if required or self.info.default is not None else kind | None
        if self.line.is_words and not required:
            annotation = list[str] | None
        taken: Any
        if self.line.is_argument or self.line.is_words:
            taken = typer.Argument(show_default=False, **options)
        else:
            taken = typer.Option(*self.option_names, **{**options, **limits})
        default = inspect.Parameter.empty if required else self._default()
        return _keyword(self.name, Annotated[annotation, taken], default=default)

    def _default(self) -> Any:
        return None if self.info.is_required() else self.info.default


def _fields(query: Query[Any, Any]) -> list[_Field]:
    """Return the parameters: arguments first, then the query's own options, then inherited ones."""
    own = query.parameters.__annotations__
    fields = []
    for name, info in query.parameters.model_fields.items():
        found = [each for each in info.metadata if isinstance(each, CommandLine)]
        line = found[-1] if found else CommandLine()
        fields.append(_Field(name=name, info=info, line=line))

    def order(field: _Field) -> tuple[bool, bool]:
        is_argument = field.line.is_argument or field.line.is_words
        return (not is_argument, not is_argument and field.name not in own)

    return sorted(fields, key=order)


def _type_of(annotation: Any, metadata: Iterable[Any]) -> tuple[Any, dict[str, Any]]:
    """Return the type of a parameter without None, and its limits `min` and `max`."""
    limits: dict[str, Any] = {}
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


def _keyword(name: str, annotation: Any, *, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
