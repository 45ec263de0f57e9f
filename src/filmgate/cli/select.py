"""`filmgate select`: choose the run that is served."""

import json
from pathlib import Path
from typing import Annotated

import typer

from filmgate.cli import selection_options
from filmgate.cli.arguments import AsJson, Asset
from filmgate.cli.output import print_json, print_table, stderr_console
from filmgate.core.answers import SnapshotAnswer
from filmgate.core.digest import JsonDict
from filmgate.core.errors import Invalid, UsageError
from filmgate.core.selection import Selection
from filmgate.services.archive import ArchiveService
from filmgate.wiring import settings


def select(
    asset: Asset,
    artifact_type: Annotated[
        str | None,
        typer.Argument(metavar="TYPE", help="Artifact type to choose a run for, such as scene."),
    ] = None,
    selection: selection_options.Mode = None,
    profile: selection_options.Profile = None,
    run: selection_options.Run = None,
    artifact: selection_options.Artifact = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="Pin every type to the run that serves it now.")
    ] = False,
    runs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Pin every type to its run in an answer saved with --json.",
            readable=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the run that each artifact type is served from; without options, show the choice."""
    archive = ArchiveService(settings.load())
    is_chosen = any(given is not None for given in (selection, profile, run))
    choices = [is_chosen, artifact is not None, pin, runs is not None]
    is_for_one_type = is_chosen or artifact is not None
    if sum(choices) > 1 or is_for_one_type != (artifact_type is not None):
        raise UsageError(
            "the options cannot be combined: a selection is for one type, a pin for all types",
            expected="ASSET; ASSET TYPE with --selection, --profile, --run or --artifact; "
            "ASSET --pin; or ASSET --runs FILE",
            hint="`filmgate select ASSET` lists the types",
        )
    if artifact_type is not None:
        chosen = (
            Selection.of(selection, profile=profile, run_id=run)
            if artifact is None
            else selection_options.artifact_selection(artifact, asset, artifact_type)
        )
        answer = archive.select(asset, artifact_type, chosen)
    elif runs is not None:
        answer = archive.pin(asset, *_read_runs(runs, asset))
    elif pin:
        answer = archive.pin(asset)
    else:
        answer = archive.snapshot(asset)
    if as_json:
        print_json(answer)
    else:
        _print_snapshot(answer)


def _read_runs(path: Path, asset: str) -> tuple[dict[str, str], dict[str, JsonDict]]:
    """Read the runs in a saved answer, with the producer, ordinal and digest it gives for each."""
    try:
        answer = json.loads(path.read_bytes())
        runs: dict[str, str] = answer["runs"]
        parts = ("producer", "ordinal", "manifest_sha256")
        cited = {
            name: {part: each[part] for part in parts}
            for name, each in answer.get("served", {}).items()
        }
        is_valid = bool(runs) and all(isinstance(run, str) for run in runs.values())
    except PermissionError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        answer, runs, cited, is_valid = {}, {}, {}, False
    if not is_valid or answer.get("asset_id") != asset:
        raise Invalid(
            f"{path} does not name any runs of {asset}",
            expected=f'an answer about {asset} in JSON, with "runs": {{type: run}}',
            got="no such file" if not path.exists() else f"one about {answer.get('asset_id')!r}",
        )
    return runs, cited


def _print_snapshot(answer: SnapshotAnswer) -> None:
    rows = []
    for name, served in answer.served.items():
        run = served.run_id if served.ordinal is None else f"{served.run_id}:{served.ordinal}"
        rows.append([name, served.selection.mode.value, served.model_profile, run])
    for name, choice in answer.unserved.items():
        missing = "[yellow]nothing[/]" + (f" (not {choice.run_id})" if choice.run_id else "")
        rows.append([name, choice.mode.value, choice.profile or "", missing])
    if rows:
        print_table(("type", "policy", "profile", "served from"), rows)
    else:
        stderr_console().print("All artifacts of this video come from a legacy product.")
