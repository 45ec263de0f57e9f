"""What users can type or set is written down."""

from pathlib import Path

import pytest
import typer.main

from filmgate.app.settings import Settings
from filmgate.cli.main import add_pipelines, app
from filmgate.core.errors import ExitCode
from filmgate.core.gates import ReasonCode
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.pipelines.episode.plan import PLAN as EPISODE
from filmgate.pipelines.gameplay.plan import PLAN as GAMEPLAY
from filmgate.pipelines.rulebook.plan import PLAN as RULEBOOK

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def commands() -> dict[str, list[str]]:
    """Every command with its options."""
    add_pipelines(["run", "rulebook"])
    root = typer.main.get_command(app)
    found: dict[str, list[str]] = {}
    waiting = [("filmgate", root)]
    while waiting:
        name, command = waiting.pop()
        children = getattr(command, "commands", {})
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
    words = [f"FILMGATE_{name.upper()}" for name in Settings.model_fields]
    words += [code.value for code in ReasonCode]
    for plan in (EPISODE, GAMEPLAY, RULEBOOK):
        words += [*plan.names]
        words += [contract.path for stage in plan.stages for contract in stage.makes]
    words += [artifact_type for artifact_type, _ in BUILT_IN.types()]
    words += [f"| {code.value} |" for code in ExitCode]
    assert [word for word in words if word not in text] == []
