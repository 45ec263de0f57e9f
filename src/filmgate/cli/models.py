"""`filmgate models`: manage the local folder of model weights. Nothing is downloaded."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json, print_table
from filmgate.cli.text import examples, printable
from filmgate.core.digest import JsonDict
from filmgate.core.errors import ExitCode
from filmgate.services.models import ModelReport, Models
from filmgate.wiring import settings

app = command_group("List, add and check model weights. Nothing is downloaded.")

Name = Annotated[
    str, typer.Argument(metavar="MODEL", help="Model name, as `filmgate models list` prints it.")
]


@app.command("list", epilog=examples("filmgate models list"))
def list_models(as_json: AsJson = False) -> None:
    """List the models that stages can use."""
    models = Models(settings.load())
    _print_models(models.all(), models.root, as_json=as_json)


@app.command("add", epilog=examples("filmgate models add yunet yunet.onnx --licence MIT"))
def add(
    name: Name,
    source: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="File or folder of weights.", readable=False),
    ],
    licence: Annotated[
        str | None, typer.Option(metavar="NAME", help="Licence of the weights.")
    ] = None,
    model_version: Annotated[
        str | None,
        typer.Option(
            "--model-version", metavar="VERSION", help="Version. Default: file name without suffix."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the installed weights.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy weights into the model folder.

    Stages of later runs use these weights.
    """
    model = Models(settings.load()).add(
        name, source, licence=licence, version=model_version, replace=replace
    )
    if as_json:
        print_json(model)
    else:
        typer.echo(f"{model.name}: sha256 {model.sha256}, {model.licence}")
        typer.echo(f"To test the weights: filmgate models check {model.name}")


@app.command("check", epilog=examples("filmgate models check", "filmgate models check yunet"))
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Check only this model.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check model weights: hash them, load them and try them."""
    models = Models(settings.load())
    reports = models.check(name)
    _print_models(reports, models.root, as_json=as_json)
    if any(report.fault for report in reports):
        raise typer.Exit(ExitCode.BAD_INPUT)


@app.command("remove", epilog=examples("filmgate models remove yunet"))
def remove(name: Name) -> None:
    """Remove weights from the model folder."""
    Models(settings.load()).remove(name)
    typer.echo(f"removed {name}; runs that used it keep its digest")


def _print_models(reports: list[ModelReport], root: Path, *, as_json: bool) -> None:
    if as_json:
        body = {"folder": str(root), "models": [_body(report) for report in reports]}
        typer.echo(json.dumps(body, ensure_ascii=True))
        return
    rows = []
    for report in reports:
        state = "yes" if report.model else "no"
        if report.fault:
            state = printable(f"BROKEN: {report.fault}")
        origin = f"{report.kind.source} ({report.kind.licence})"
        if report.model:
            origin = f"{report.model.licence}, {report.model.sha256[:12]}"
        cells = (report.kind.name, state, report.kind.task, printable(origin))
        rows.append([escape(cell) for cell in cells])
    print_table(("model", "installed", "task", "origin"), rows)
    typer.echo(f"\nfolder     {root}")


def _body(report: ModelReport) -> JsonDict:
    kind, model = report.kind, report.model
    return {
        "name": kind.name,
        "task": kind.task,
        "form": kind.form,
        "get": kind.source,
        "makers_licence": kind.licence,
        "fault": report.fault,
        "model": model.model_dump(mode="json") if model else None,
    }
