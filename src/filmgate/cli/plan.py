"""`filmgate plan`: what a run would do now."""

from typing import TYPE_CHECKING

import typer

from filmgate.cli import pipeline_command
from filmgate.cli.pipeline_command import Asked

if TYPE_CHECKING:
    from filmgate.core.forecast import Forecast, StageForecast

app = typer.Typer(help="What a run would do now, without doing it.", no_args_is_help=True)

FATE_STYLES = {
    "reuse": "green",
    "run": "cyan",
    "perhaps": "cyan",
    "skip": "dim",
    "blocked": "bold yellow",
    "left": "dim",
}


@app.callback()
def pipelines() -> None:
    """What a run would do now, without doing it."""


def add_pipeline(name: str) -> None:
    """Make `filmgate plan NAME` a command, which takes the line of `filmgate run NAME`."""
    told = (
        f"Which stages `filmgate run {name}` would reuse, run or find blocked, and why. "
        "Nothing is run or written."
    )
    pipeline_command.add(app, name, told, _foresee)


def _foresee(asked: Asked) -> None:
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.output import print_json, results_only
    from filmgate.cli.progress import stage_progress
    from filmgate.core.errors import ExitCode
    from filmgate.core.forecast import Fate

    with results_only(), stage_progress() as progress:
        forecast = System(settings.load()).plan(
            asked.pipeline, asked.source, asked.options, progress.hashed
        )
    if asked.as_json:
        print_json(forecast)
    else:
        _print(forecast)
    is_blocked = any(stage.fate is Fate.BLOCKED for stage in forecast.stages)
    raise typer.Exit(ExitCode.BLOCKED if is_blocked else ExitCode.DONE)


def _print(forecast: "Forecast") -> None:
    from rich.markup import escape

    from filmgate.cli.output import columns, out, printable

    run = forecast.run_id or "a new run"
    out().print(f"{forecast.asset_id} / {run}\n")
    table = columns("stage", "fate", "why")
    for stage in forecast.stages:
        fate = f"[{FATE_STYLES[stage.fate.value]}]{stage.fate.value}[/]"
        table.add_row(stage.stage, fate, escape(printable("\n".join(_lines(stage)))))
    out().print(table)


def _lines(stage: "StageForecast") -> list[str]:
    """Why, then each part of the fingerprint that changed, then each reason of a closed gate."""
    lines = [stage.why]
    lines += [f"  {each.part}: {_short(each.was)} → {_short(each.now)}" for each in stage.changes]
    lines += [f"  {reason}" for reason in stage.reasons]
    return lines


def _short(value: str | None) -> str:
    """A digest by its first digits."""
    if value is None:
        return "none"
    digits = value.removeprefix("sha256:")
    is_digest = len(digits) == 64 and all(c in "0123456789abcdef" for c in digits)  # noqa: PLR2004
    return f"{digits[:12]}…" if is_digest else value
