"""The commands of `filmgate`: a table of names, summaries and the modules that implement them."""

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import typer
import typer.core
import typer.main
from typer._click import Command

from filmgate.cli.lazy_group import CommandSummary, LazyGroup, make_command
from filmgate.cli.text import examples
from filmgate.services.queries.entries import ACTIONS, BUILT_IN, DEMO, PIPELINE_QUERIES
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

ACTION_MODULE = "action"
"""Module of the groups of all actions."""

PLATFORM_GROUPS = frozenset({"db"})
"""Groups of the platform that actions of pipelines join."""


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


def _groups_of_pipelines() -> dict[str, Entry]:
    """Return a group for each first word of actions that names no group of the platform."""
    groups: dict[str, Entry] = {}
    for name, entry in ACTIONS.items():
        group = name.partition(" ")[0]
        if group not in PLATFORM_GROUPS:
            groups[group] = Entry(QUERY, entry.summary, f"{ACTION_MODULE}:{group}", entry.examples)
    return groups


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
        (f"filmgate settings {DEMO}",),
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
        ("filmgate demo", f"filmgate demo {DEMO}"),
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
    **{name: _query(name) for name, entry in PIPELINE_QUERIES.items() if entry.summary},
    **_groups_of_pipelines(),
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
    "sessions": Entry(
        SERVICE,
        "List and end the browser sessions of the service",
        "sessions:app",
        ("filmgate sessions list", "filmgate sessions revoke --user lisa"),
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
        """Whether a command exists, in the table or in an installed package."""
        if name in COMMANDS or not name.isidentifier():
            return name in COMMANDS
        return _is_packaged_query(name) or _is_packaged_group(name)

    def load(self, name: str) -> Command:
        """Import a command, and add its examples to its help."""
        entry = COMMANDS.get(name)
        if entry is None:
            module = QUERY_MODULE if _is_packaged_query(name) else ACTION_MODULE
            entry = Entry(QUERY, "", f"{module}:{name}", ())
        module, _, attribute = entry.target.partition(":")
        imported = import_module(f"filmgate.cli.{module}")
        if module == QUERY_MODULE:
            query = imported.table.load(name)
            command = make_command(name, imported.make(query), imported.context_settings(query))
        elif module == ACTION_MODULE:
            command = make_command(name, imported.make_group(name))
        else:
            found = getattr(imported, attribute)
            if name in PLATFORM_GROUPS:
                import_module(f"filmgate.cli.{ACTION_MODULE}").add_actions(found, name)
            command = found if isinstance(found, LazyGroup) else make_command(name, found)
        if entry.examples:
            command.epilog = examples(*entry.examples)
        return command


def _is_packaged_query(name: str) -> bool:
    return bool(import_module(f"filmgate.cli.{QUERY_MODULE}").is_packaged(name))


def _is_packaged_group(name: str) -> bool:
    return bool(import_module(f"filmgate.cli.{ACTION_MODULE}").is_packaged(name))


def root() -> Command:
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
