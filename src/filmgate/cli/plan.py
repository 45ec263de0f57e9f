"""`filmgate plan`: show what a run would do, without running it."""

import typer
from rich.markup import escape

from filmgate.cli.output import print_json, print_table, results_only, stdout_console
from filmgate.cli.pipeline_group import PipelineGroup, PipelineRequest
from filmgate.cli.progress import stage_progress
from filmgate.cli.text import printable
from filmgate.core.errors import ExitCode
from filmgate.core.forecast import Forecast, PlannedAction, StageForecast
from filmgate.services.runs import Runs
from filmgate.wiring import settings

ABOUT = (
    """Print which stages would be reused, run or blocked, and why. Nothing is run or written."""
)

ACTION_STYLES = {
    "reuse": "green",
    "run": "cyan",
    "perhaps": "cyan",
    "skip": "dim",
    "blocked": "bold yellow",
    "left": "dim",
}


def _plan(request: PipelineRequest) -> None:
    with results_only(), stage_progress() as progress:
        forecast = Runs(settings.load()).plan(
            request.pipeline, request.source, request.options, progress.hashed
        )
    if request.as_json:
        print_json(forecast)
    else:
        _print(forecast)
    is_blocked = any(stage.fate is PlannedAction.BLOCKED for stage in forecast.stages)
    raise typer.Exit(ExitCode.BLOCKED if is_blocked else ExitCode.DONE)


def _print(forecast: Forecast) -> None:
    run = forecast.run_id or "a new run"
    stdout_console().print(f"{forecast.asset_id} / {run}\n")
    rows = []
    for stage in forecast.stages:
        action = f"[{ACTION_STYLES[stage.fate.value]}]{stage.fate.value}[/]"
        rows.append([stage.stage, action, escape(printable("\n".join(_lines(stage))))])
    print_table(("stage", "action", "why"), rows)


def _lines(stage: StageForecast) -> list[str]:
    """Return the explanation, the changed parts of the fingerprint and the blocking reasons."""
    lines = [stage.why]
    lines += [f"  {each.part}: {_short(each.was)} → {_short(each.now)}" for each in stage.changes]
    lines += [f"  {reason}" for reason in stage.reasons]
    return lines


def _short(value: str | None) -> str:
    """Shorten a digest to its first digits."""
    if value is None:
        return "none"
    digits = value.removeprefix("sha256:")
    is_digest = len(digits) == 64 and all(c in "0123456789abcdef" for c in digits)  # noqa: PLR2004
    return f"{digits[:12]}…" if is_digest else value


group = PipelineGroup("plan", ABOUT, "Show what a run of {name} would do", _plan)
