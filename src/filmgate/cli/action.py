"""Groups of the commands of actions: each command is made of the action's definition."""

import typer

from filmgate.cli.lazy_group import command_group
from filmgate.cli.query import context_settings, make
from filmgate.cli.text import examples
from filmgate.services.queries import table
from filmgate.services.queries.entries import ACTIONS


def make_group(group: str) -> typer.Typer:
    """Return the group of all actions whose command starts with a word."""
    names = _names(group)
    about = ACTIONS[names[0]].summary if names[0] in ACTIONS else f"Commands of {group}"
    app = command_group(f"{about}.")
    app.callback()(lambda: None)
    add_actions(app, group)
    return app


def add_actions(app: typer.Typer, group: str) -> None:
    """Add the actions whose command starts with the name of a group to that group, once."""
    taken = {command.name for command in app.registered_commands}
    for name in _names(group):
        word = name.partition(" ")[2]
        if word in taken:
            continue
        action = table.load_action(name)
        epilog = examples(*ACTIONS[name].examples) if name in ACTIONS else None
        app.command(word, epilog=epilog, context_settings=context_settings(action))(make(action))


def is_packaged(group: str) -> bool:
    """Whether an installed package brings an action whose command starts with a word."""
    return any(name.partition(" ")[0] == group for name in table.packaged_actions())


def _names(group: str) -> list[str]:
    names = [*ACTIONS, *table.packaged_actions()]
    return [name for name in names if name.partition(" ")[0] == group]
