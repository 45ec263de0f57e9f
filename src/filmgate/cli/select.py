"""`filmgate select` and `filmgate profiles`: what is served, and what else there is."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filmgate.cli import choosing
from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.answers import SnapshotAnswer

Asset = Annotated[str, typer.Argument(help="The video's asset id.")]


def select(
    asset: Asset,
    artifact_type: Annotated[
        str | None, typer.Argument(help="The type to choose for, such as scene.")
    ] = None,
    selection: choosing.Mode = None,
    profile: choosing.Profile = None,
    run: choosing.Run = None,
    artifact: choosing.Artifact = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="Pin every type to the run it is served from now.")
    ] = False,
    runs: Annotated[
        Path | None,
        typer.Option(help="Pin to the runs that an earlier answer names: its JSON, in a file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose what a video is served from; without a choice, show what it is."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.output import print_json
    from filmgate.core.errors import UsageError

    archive = Archive(settings.load())
    is_chosen = any(given is not None for given in (selection, profile, run))
    ways = [is_chosen, artifact is not None, pin, runs is not None]
    is_for_one = is_chosen or artifact is not None
    if sum(ways) > 1 or is_for_one != (artifact_type is not None):
        raise UsageError(
            "a choice is for one type; pinning is for all of them",
            expected="ASSET; ASSET TYPE with --selection, --profile, --run or --artifact; "
            "ASSET --pin; or ASSET --runs FILE",
            hint="`filmgate select ASSET` shows the types",
        )
    if artifact_type is not None:
        chosen = (
            choosing.selection_of(selection, profile, run)
            if artifact is None
            else choosing.artifact_alone(artifact, asset, artifact_type)
        )
        answer = archive.select(asset, artifact_type, chosen)
    elif runs is not None:
        answer = archive.pin(asset, *_cited_in(runs, asset))
    elif pin:
        answer = archive.pin(asset)
    else:
        answer = archive.snapshot(asset)
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def profiles(
    asset: Asset,
    artifact_type: Annotated[
        str | None, typer.Argument(help="Only this type, such as scene.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Under which model profiles a video was looked at, type by type."""

    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.output import columns, out, print_json, talk

    answer = Archive(settings.load()).profiles(asset, artifact_type)
    if as_json:
        print_json(answer)
        return
    heads = ("type", "profile", "runs", "latest run", "artifacts", "")
    table = columns(*heads, right={"runs", "artifacts"})
    for each in answer.profiles:
        table.add_row(
            each.artifact_type,
            each.model_profile,
            str(each.runs),
            each.latest_run_id,
            f"{each.artifacts:,}",
            "served" if each.is_served else "",
        )
    if answer.profiles:
        out().print(table)
    else:
        talk().print("no completed run")


def _cited_in(path: Path, asset: str) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """The runs that an answer in a file names, and what a snapshot tells of each besides."""
    from filmgate.core.errors import Invalid

    try:
        told = json.loads(path.read_bytes())
        runs: dict[str, str] = told["runs"]
        parts = ("producer", "ordinal", "manifest_sha256")
        cited = {
            name: {part: each[part] for part in parts}
            for name, each in told.get("served", {}).items()
        }
        is_good = bool(runs) and all(isinstance(each, str) for each in runs.values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        told, runs, cited, is_good = {}, {}, {}, False
    if not is_good or told.get("asset_id") != asset:
        raise Invalid(
            f"{path} names no runs of {asset}",
            expected=f'an answer about {asset} in JSON, with "runs": {{type: run}}',
            got="no such file" if not path.exists() else f"one of {told.get('asset_id')!r}",
        )
    return runs, cited


def _show(answer: "SnapshotAnswer") -> None:

    from filmgate.cli.output import columns, out, talk

    table = columns("type", "served from", "profile", "choice")
    for name, each in answer.served.items():
        place = each.run_id if each.ordinal is None else f"{each.run_id}:{each.ordinal}"
        table.add_row(name, place, each.model_profile, each.selection.mode.value)
    for name, choice in answer.unserved.items():
        meant = (
            f"[yellow]nothing[/] (not {choice.run_id})" if choice.run_id else "[yellow]nothing[/]"
        )
        table.add_row(name, meant, choice.profile or "", choice.mode.value)
    if answer.served or answer.unserved:
        out().print(table)
    else:
        talk().print("served from what an older product left")
