"""`filmgate models`: the local model folder. Nothing is ever fetched."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.app.models import ModelReport

app = typer.Typer(help="The local model folder. Nothing is ever fetched.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every model that stages look for: what for, whether it is there, where it comes from."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.models import Models

    models = Models(settings.load())
    _tell(models.all(), models.root, as_json=as_json)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Which model it is, as `models list` names it.")],
    source: Annotated[Path, typer.Argument(help="Its weights: a file, or a folder.")],
    licence: Annotated[str | None, typer.Option(help="Under which licence you have them.")] = None,
    model_version: Annotated[
        str | None, typer.Option("--model-version", help="Which version; the file's name without.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of other weights of that name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy weights into the model folder; from the next run on, stages use them."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.models import Models
    from filmgate.cli.output import print_json

    model = Models(settings.load()).add(
        name, source, licence=licence, version=model_version, replace=replace
    )
    if as_json:
        print_json(model)
    else:
        typer.echo(f"{model.name}: sha256 {model.sha256}, {model.licence}")
        typer.echo(f"`filmgate models check {model.name}` loads and tries it")


@app.command("check")
def check(
    name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read the weights again, load them, and try them."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.models import Models
    from filmgate.core.errors import ExitCode

    models = Models(settings.load())
    reports = models.check(name)
    _tell(reports, models.root, as_json=as_json)
    if any(each.fault for each in reports):
        raise typer.Exit(ExitCode.BAD_INPUT)


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="Which model, as `models list` names it.")],
) -> None:
    """Take weights away; from the next run on, stages do without them."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.models import Models

    Models(settings.load()).remove(name)
    typer.echo(f"removed {name}; runs that were made with it keep its digest")


def _tell(reports: "list[ModelReport]", root: Path, *, as_json: bool) -> None:
    if as_json:
        import json

        body = {"folder": str(root), "models": [_body(each) for each in reports]}
        typer.echo(json.dumps(body, ensure_ascii=True))
        return
    from rich.markup import escape

    from filmgate.cli.output import columns, out, printable

    table = columns("model", "there", "for", "where it comes from")
    for each in reports:
        there = "yes" if each.model else "no"
        if each.fault:
            there = printable(f"BROKEN: {each.fault}")
        told = f"{each.kind.get} ({each.kind.licence})"
        if each.model:
            told = f"{each.model.licence}, {each.model.sha256[:12]}"
        table.add_row(
            each.kind.name, escape(there), escape(each.kind.task), escape(printable(told))
        )
    out().print(table)
    typer.echo(f"\nfolder     {root}")


def _body(report: "ModelReport") -> dict[str, Any]:
    kind, model = report.kind, report.model
    return {
        "name": kind.name,
        "task": kind.task,
        "form": kind.form,
        "get": kind.get,
        "makers_licence": kind.licence,
        "fault": report.fault,
        "model": model.model_dump(mode="json") if model else None,
    }
