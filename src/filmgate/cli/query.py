"""Commands of queries and actions: each is made of its definition."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.text import Text

from filmgate.cli.arguments import AsJson, Wide
from filmgate.cli.fields import fields_of, keyword, parse_fields, with_parameters
from filmgate.cli.output import print_json, print_table, stderr_console, stdout_console
from filmgate.cli.text import printable
from filmgate.core.command import A, P, Part
from filmgate.core.query import Action, AnyAction, AnyQuery, Query
from filmgate.services.queries import table
from filmgate.services.query_context import DatabaseQueries
from filmgate.wiring import settings

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


def make(query: AnyQuery | AnyAction) -> Callable[..., None]:
    """Return the command of a query or an action, as a function from which Typer makes it."""
    fields = fields_of(query.parameters)
    without_words = query.without_words if isinstance(query, Query) else None
    words = next((field.name for field in fields if field.line.is_words), None)

    def command(**given: object) -> None:
        as_json, is_wide = bool(given.pop(AS_JSON)), bool(given.pop(WIDE, False))
        chosen = query
        if words is not None and without_words is not None and not given[words]:
            chosen = without_words
            given = {name: given[name] for name in chosen.parameters.model_fields if name in given}
        queries = DatabaseQueries(settings.load())
        parameters = parse_fields(chosen.parameters, given)
        ask_and_print(queries, chosen, parameters, as_json=as_json, is_wide=is_wide)

    command.__name__ = query.name.replace(" ", "_").replace("-", "_")
    command.__doc__ = query.description
    listed = [field.parameter(needs_words=without_words is None) for field in fields]
    if query.has_wide:
        listed.append(keyword(WIDE, Wide, default=False))
    listed.append(keyword(AS_JSON, AsJson, default=False))
    return with_parameters(command, listed)


def is_packaged(name: str) -> bool:
    """Whether an installed package brings a query of this name, with a command."""
    return name in table.packaged() and table.load(name).show is not None


def context_settings(query: AnyQuery | AnyAction) -> dict[str, object]:
    """Return how the command parses its line: words such as `-without` are part of a query."""
    has_words = any(field.line.is_words for field in fields_of(query.parameters))
    return {"ignore_unknown_options": has_words}


def ask_and_print(
    queries: DatabaseQueries,
    query: Query[P, A] | Action[P, A],
    parameters: P,
    *,
    as_json: bool = False,
    is_wide: bool = False,
) -> None:
    """Answer a query or execute an action, and print the answer."""
    answer = queries.ask(query, parameters)
    if as_json or query.show is None:
        print_json(answer)
    else:
        query.show(answer, parameters, ConsolePrinter(is_wide=is_wide))
