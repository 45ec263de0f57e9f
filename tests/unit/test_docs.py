"""What users can type or set is written down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from filmgate.cli.commands import COMMANDS, root
from filmgate.cli.lazy_group import LazyGroup
from filmgate.core.errors import ExitCode
from filmgate.core.gates import ReasonCode
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.pipelines.episode.plan import PLAN as EPISODE
from filmgate.pipelines.gameplay.plan import PLAN as GAMEPLAY
from filmgate.pipelines.rulebook.plan import PLAN as RULEBOOK
from filmgate.wiring.settings import Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def commands() -> dict[str, list[str]]:
    """Every command with its options."""
    found: dict[str, list[str]] = {}
    waiting = [("filmgate", root())]
    while waiting:
        name, command = waiting.pop()
        children = getattr(command, "commands", {})
        if isinstance(command, LazyGroup):
            children = {each: command.load(each) for each in command.summaries()}
        waiting += [(f"{name} {each}", child) for each, child in children.items()]
        if not children or getattr(command, "invoke_without_command", False):
            options = [option for parameter in command.params for option in parameter.opts]
            found[name] = [option for option in options if option.startswith("--")]
    return found


@pytest.mark.parametrize("command", commands())
def test_every_command_and_option_is_in_the_reference(command: str) -> None:
    text = (REFERENCE / "cli.md").read_text()
    assert f"`{command}" in text
    missing = [option for option in commands()[command] if f"`{option}" not in text]
    assert missing == []


def test_every_setting_exit_code_reason_stage_and_contract_is_in_the_reference() -> None:
    text = "".join(path.read_text() for path in REFERENCE.glob("*.md"))
    settings = [str(each.validation_alias or name) for name, each in Settings.model_fields.items()]
    words = [f"FILMGATE_{name.upper()}" for name in settings]
    words += [code.value for code in ReasonCode]
    for plan in (EPISODE, GAMEPLAY, RULEBOOK):
        words += [*plan.names]
        words += [contract.path for stage in plan.stages for contract in stage.makes]
    words += [artifact_type for artifact_type, _ in BUILT_IN.types()]
    words += [f"| {code.value} |" for code in ExitCode]
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_short_summary_and_an_example(name: str) -> None:
    entry = COMMANDS[name]
    assert len(entry.summary) <= 60
    assert entry.examples or name in {"run", "plan"}
    assert all(example.startswith(f"filmgate {name}") for example in entry.examples)


def every_command() -> Iterator[tuple[str, Any, bool]]:
    """Every command with its name, and whether it is in the table of commands."""
    waiting = [("filmgate", root(), True)]
    while waiting:
        name, command, is_listed = waiting.pop()
        yield name, command, is_listed
        if isinstance(command, LazyGroup):
            waiting += [
                (f"{name} {each}", command.load(each), True) for each in command.summaries()
            ]
        else:
            children = getattr(command, "commands", {})
            waiting += [(f"{name} {each}", child, False) for each, child in children.items()]


def test_every_option_says_what_it_is_for() -> None:
    missing = [
        f"{name} {parameter.opts}"
        for name, command, _ in every_command()
        for parameter in command.params
        if not getattr(parameter, "help", None) and not getattr(parameter, "hidden", False)
    ]
    assert missing == []


def test_every_command_has_a_summary_of_60_characters_and_an_example() -> None:
    faults = []
    for name, command, is_listed in every_command():
        summary = " ".join((command.help or "").strip().split("\n\n")[0].split())
        if not is_listed and not 0 < len(summary) <= 60:
            faults.append(f"{name}: {summary}")
        has_children = isinstance(command, LazyGroup) or getattr(command, "commands", {})
        if not has_children and "Examples:" not in (command.epilog or ""):
            faults.append(f"{name}: no example")
    assert faults == []
