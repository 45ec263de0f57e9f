"""Groups of commands that import a command's code only when that command runs."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple

import typer
import typer.core
import typer.main
from typer._click import Command, Context, HelpFormatter
from typer._click.shell_completion import CompletionItem

from filmgate.core.errors import UsageError, unknown_name


class CommandSummary(NamedTuple):
    """Section and summary of a command in the help of its group."""

    section: str
    text: str
    """What the command does, in at most 60 characters."""


class LazyGroup(typer.core.TyperGroup):
    """A group that knows the summaries of its commands without importing them."""

    @abstractmethod
    def summaries(self) -> Mapping[str, CommandSummary]:
        """Return the summaries of all commands by name, in the order of the help."""

    @abstractmethod
    def load(self, name: str) -> Command:
        """Import and return the command with this name, for which `has` is true."""

    def has(self, name: str) -> bool:
        """Whether a command with this name exists; the help may not list it."""
        return name in self.summaries()

    def unknown(self, name: str) -> UsageError:
        """Return the error for a command that does not exist."""
        return unknown_name("command", name, self.summaries())

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - named by the library
        """Return the names of all commands."""
        return list(self.summaries())

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002
        """Return the command with this name; None if it does not exist."""
        return self.load(cmd_name) if self.has(cmd_name) else None

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """Return the command that the arguments name; raises UsageError if it does not exist."""
        if args and not args[0].startswith("-") and not self.has(args[0]):
            raise self.unknown(args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002
        """Write the names and summaries of all commands, grouped by section."""
        summaries = self.summaries()
        width = max(map(len, summaries), default=0)
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (section, text) in summaries.items():
            sections.setdefault(section, []).append((name.ljust(width), text))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, or an option."""
        if incomplete.startswith("-"):
            return [*super().shell_complete(ctx, incomplete)]
        summaries = self.summaries()
        return [
            CompletionItem(name, help=text)
            for name, (_, text) in summaries.items()
            if name.startswith(incomplete)
        ]


def command_group(about: str, *, needs_command: bool = True) -> typer.Typer:
    """Create a Typer group with the help settings that all commands share."""
    return typer.Typer(
        help=about,
        no_args_is_help=needs_command,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def make_command(
    name: str,
    found: Callable[..., None] | typer.Typer,
    context_settings: Mapping[str, object] | None = None,
) -> Command:
    """Create a command from a function, or from a group that `command_group` created."""
    if isinstance(found, typer.Typer):
        app = found
    else:
        app = command_group("", needs_command=False)
        app.command(name, context_settings=dict(context_settings or {}))(found)
    command = typer.main.get_command(app)
    command.name = name
    return command
