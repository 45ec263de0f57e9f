"""The commands of `filmgate`: a table of names, summaries and the modules that implement them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
import typer.core
import typer.main

from filmgate.cli.lazy_group import CommandSummary, LazyGroup, make_command
from filmgate.cli.text import examples
from filmgate.services.queries.entries import BUILT_IN
from filmgate.version import __version__

ABOUT = "Run media pipelines behind gates, and query, trace and publish the results."

RUN, QUERY, PEOPLE, EXCHANGE, SERVICE, MAINTENANCE = (
    "Run",
    "Query",
    "People and models",
    "Exchange",
    "Service",
    "Maintenance",
)


QUERY_MODULE = "query"
"""Module of the commands of all queries."""


class Entry(NamedTuple):
    """CommandSummary, implementation and examples of a command."""

    section: str
    summary: str
    """Imperative phrase of at most 60 characters, for the list of commands."""
    target: str
    """`module:attribute` in `filmgate.cli`: a function, a Typer app or a group."""
    examples: tuple[str, ...]
    """Command lines that are shown at the end of the command's help."""


def _query(name: str) -> Entry:
    entry = BUILT_IN[name]
    return Entry(QUERY, entry.summary, f"query:{name}", entry.examples)


COMMANDS = {
    "run": Entry(RUN, "Run a pipeline on an input, or resume a run", "run:group", ()),
    "plan": Entry(RUN, "Show what a run would do, without running it", "plan:group", ()),
    "status": Entry(
        RUN,
        "Show the state of a run, or list runs",
        "status:status",
        ("filmgate status", "filmgate status film --watch"),
    ),
    "logs": Entry(
        RUN,
        "Print the events of a run",
        "logs:logs",
        ("filmgate logs film", "filmgate logs film detect --follow"),
    ),
    "settings": Entry(
        RUN,
        "List the settings of a pipeline's stages",
        "settings:settings",
        ("filmgate settings episode", "filmgate settings episode detect"),
    ),
    "verify": Entry(
        RUN,
        "Verify every file of a run against its record",
        "verify:verify",
        ("filmgate verify film",),
    ),
    "adopt": Entry(
        RUN,
        "Commit manually edited files of a stage",
        "adopt:adopt",
        ("filmgate adopt scenes film",),
    ),
    "demo": Entry(
        RUN,
        "Run a pipeline on a built-in sample and show results",
        "demo:demo",
        ("filmgate demo", "filmgate demo rulebook"),
    ),
    "videos": Entry(
        QUERY, "List videos and how many runs each has", "videos:videos", ("filmgate videos",)
    ),
    "find": _query("find"),
    "search": _query("search"),
    "jump": _query("jump"),
    "screentime": _query("screentime"),
    "artifacts": _query("artifacts"),
    "provenance": _query("provenance"),
    "profiles": _query("profiles"),
    "select": Entry(
        QUERY,
        "Choose the run that query results come from",
        "select:select",
        ("filmgate select film", "filmgate select film scene --profile high_quality"),
    ),
    "ask": _query("ask"),
    "gameplay": Entry(
        QUERY,
        "Report on quality manifests of game sessions",
        "gameplay:app",
        ("filmgate gameplay report q.parquet --manifest-bucket ./pt",),
    ),
    "people": Entry(
        PEOPLE,
        "List, name, rename and remove known people",
        "people:app",
        ('filmgate people name c1 "Lisa" --in film',),
    ),
    "models": Entry(
        PEOPLE, "List, add and check model weights", "models:app", ("filmgate models list",)
    ),
    "publish": Entry(
        EXCHANGE,
        "Publish a finished run to S3 or a folder",
        "publish:publish",
        ("filmgate publish film --to s3://bucket/results",),
    ),
    "sync": Entry(
        EXCHANGE,
        "Ingest runs that were published elsewhere",
        "sync:app",
        ("filmgate sync --source s3://bucket/results --follow",),
    ),
    "ingest": Entry(
        EXCHANGE,
        "Ingest a finished run into the database",
        "ingest:ingest",
        ("filmgate ingest film",),
    ),
    "receipts": Entry(
        EXCHANGE,
        "List the ingest receipts of a run",
        "receipts:receipts",
        ("filmgate receipts film",),
    ),
    "serve": Entry(
        SERVICE,
        "Serve the HTTP API and execute submitted jobs",
        "serve:serve",
        ("filmgate serve",),
    ),
    "worker": Entry(
        SERVICE,
        "Execute queued jobs",
        "worker:worker",
        ("filmgate worker --concurrency 2",),
    ),
    "tokens": Entry(
        SERVICE,
        "Create, list and revoke API tokens",
        "tokens:app",
        ("filmgate tokens create lisa --scope operator",),
    ),
    "db": Entry(
        MAINTENANCE,
        "Start, stop and maintain the database",
        "db:app",
        ("filmgate db start",),
    ),
    "manifest": Entry(
        MAINTENANCE,
        "Rebuild the manifest of a run from its records",
        "manifest:app",
        ("filmgate manifest rebuild film",),
    ),
}


class Root(LazyGroup):
    """Group of all commands in `COMMANDS`."""

    def summaries(self) -> Mapping[str, CommandSummary]:
        """Return the summaries of all commands, in the order of the help."""
        return {
            name: CommandSummary(entry.section, entry.summary) for name, entry in COMMANDS.items()
        }

    def has(self, name: str) -> bool:
        """Whether a command exists, in the table or as a query of an installed package."""
        if name in COMMANDS or not name.isidentifier():
            return name in COMMANDS
        return bool(import_module(f"filmgate.cli.{QUERY_MODULE}").is_packaged(name))

    def load(self, name: str) -> Any:
        """Import a command, and add its examples to its help."""
        entry = COMMANDS.get(name, Entry(QUERY, "", f"{QUERY_MODULE}:{name}", ()))
        module, _, attribute = entry.target.partition(":")
        imported = import_module(f"filmgate.cli.{module}")
        if module == QUERY_MODULE:
            command = make_command(name, imported.make(name), imported.context_settings(name))
        else:
            found = getattr(imported, attribute)
            command = found if isinstance(found, LazyGroup) else make_command(name, found)
        if entry.examples:
            command.epilog = examples(*entry.examples)
        return command


def root() -> Any:
    """Return the command `filmgate`, which imports a subcommand only when it runs."""
    app = typer.Typer(
        cls=Root,
        name="filmgate",
        help=ABOUT,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_options)
    return typer.main.get_command(app)


def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        typer.echo(f"filmgate {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
