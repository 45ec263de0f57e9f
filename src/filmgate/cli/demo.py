"""`filmgate demo`: run a pipeline on a built-in sample and show results."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson
from filmgate.cli.gameplay import print_counts
from filmgate.cli.output import print_json, stderr_console, stdout_console
from filmgate.cli.progress import stage_progress
from filmgate.cli.query import ask_and_print
from filmgate.cli.report import print_report
from filmgate.core.questions import JumpKind, TextSource
from filmgate.services.demo import ensure_book, ensure_film, ensure_sessions
from filmgate.services.game_sessions import GameplayOptions
from filmgate.services.quality_reports import write_report
from filmgate.services.queries import table
from filmgate.services.query_context import DatabaseQueries
from filmgate.services.run_options import RunOptions, RunReport
from filmgate.services.runs import Runs
from filmgate.wiring import logs, settings


class DemoSample(StrEnum):
    """Sample input of the demo."""

    EPISODE = "episode"
    FILM = "film"
    RULEBOOK = "rulebook"
    GAMEPLAY = "gameplay"


WORDS = "compiler or rocket"
TITLE = "hopper"
FROM_MS = 9_000

QUESTIONS = (
    "how much damage does kindle do",
    "which callings get cold flame",
    "what does storm oil cost",
)


def demo(
    sample: Annotated[
        DemoSample,
        typer.Argument(
            help="Sample to process: episode (a film with people), rulebook (a book of rules) or "
            "gameplay (recorded game sessions); film makes the film without running a pipeline."
        ),
    ] = DemoSample.EPISODE,
    as_json: AsJson = False,
) -> None:
    """Make a sample, run a pipeline on it, and query the results."""
    match sample:
        case DemoSample.EPISODE:
            _demo_episode(as_json=as_json)
        case DemoSample.FILM:
            _make_film()
        case DemoSample.RULEBOOK:
            _demo_rulebook(as_json=as_json)
        case DemoSample.GAMEPLAY:
            _demo_gameplay(as_json=as_json)


def _make_film() -> None:
    """Make the sample film, unless it exists, and print its path."""

    with stage_progress(quiet=True) as progress:
        made = ensure_film(
            settings.load().home,
            lambda done, total: progress.stage_progress("making the film", done, total),
        )
    typer.echo(str(made))


def _demo_gameplay(*, as_json: bool) -> None:
    """Make sample sessions, run the gameplay pipeline on them, and write the report."""

    logs.configure("WARNING")
    chosen = settings.load()
    with stage_progress(quiet=True) as progress:
        listed = ensure_sessions(
            chosen.home, lambda done, total: progress.stage_progress("making sessions", done, total)
        )
        folder = listed.parent
        game_options = GameplayOptions(
            source_bucket=str(folder / "game-data"),
            manifest_bucket=str(folder / "game-data-manifest"),
            output_path=str(folder / "quality.parquet"),
        )
        stderr_console().print(f"Running the gameplay pipeline on [bold]{folder / 'game-data'}[/]")
        options = RunOptions(new=True, settings=game_options.settings())
        report = Runs(chosen).run("gameplay", listed, options, progress, progress.hashed)
    if as_json:
        print_json(report.manifest)
        raise typer.Exit(report.exit_code)
    print_report(report, as_json=False)
    table = folder / "quality.parquet"
    page = folder / "quality.html"
    stdout_console().print(f"\n[bold]$ filmgate gameplay report {table}[/]")
    print_counts(write_report(table, page, chosen, bucket=game_options.manifest_bucket, worst=12))
    stdout_console().print("[bold]your own sessions[/]  filmgate run gameplay --task-list FILE …")
    raise typer.Exit(report.exit_code)


def _demo_rulebook(*, as_json: bool) -> None:
    """Make the sample book, run the six passes on it, and ask three questions about it."""

    logs.configure("WARNING")
    chosen = settings.load()
    uploads = ensure_book(chosen.home)
    with stage_progress(quiet=True) as progress:
        stderr_console().print(f"Running the six passes on the book in [bold]{uploads}[/]")
        options = RunOptions(new=True)
        report = Runs(chosen).run("rulebook", uploads, options, progress, progress.hashed)
    if as_json:
        print_json(report.manifest)
    else:
        print_report(report, as_json=False)
        queries = DatabaseQueries(chosen)
        with queries.keep_running():
            for question in QUESTIONS if report.receipt else ():
                _ask(queries, "ask", f"{question} --limit 1", q=question.split(), limit=1)
        stdout_console().print("[bold]your own books[/]  filmgate run rulebook --uploads FOLDER")
    raise typer.Exit(report.exit_code)


def _demo_episode(*, as_json: bool) -> None:
    """Make the sample film, run the episode pipeline on it, and query the results."""

    logs.configure("WARNING")
    chosen = settings.load()
    with stage_progress(quiet=True) as progress:
        film = ensure_film(
            chosen.home, lambda done, total: progress.stage_progress("making the film", done, total)
        )
        stderr_console().print(f"Running the episode pipeline on [bold]{film}[/]")
        options = RunOptions(new=True, jobs=2)
        report = Runs(chosen).run("episode", film, options, progress, progress.hashed)
    if as_json:
        print_json(report.manifest)
    else:
        _print_results(report, DatabaseQueries(chosen))
    raise typer.Exit(report.exit_code)


def _print_results(report: RunReport, queries: DatabaseQueries) -> None:
    asset = report.manifest.asset.id
    print_report(report, as_json=False)
    with queries.keep_running():
        _ask(queries, "artifacts", f"{asset} --type scene", asset_id=asset, type=["scene"])
        _ask(queries, "find", f"{asset} {WORDS}", asset_id=asset, q=WORDS.split())
        shown = f"{asset} --source ocr {TITLE}"
        _ask(queries, "find", shown, asset_id=asset, q=TITLE.split(), source=TextSource.OCR)
        _ask(queries, "screentime", asset, asset_id=asset)
        after = f"{asset} --kind scene --from-ms {FROM_MS}"
        _ask(queries, "jump", after, asset_id=asset, kind=JumpKind.SCENE, from_ms=FROM_MS)
    stdout_console().print(
        f"\n[bold]the report[/]       {report.folder}/exports/run_debug.pdf"
        f'\n[bold]name a person[/]    filmgate people name c1 "Eileen Collins" --in {asset}'
        "\n[bold]your own video[/]  filmgate run episode VIDEO"
        "\n[bold]all your runs[/]   filmgate status"
        "\n[dim]filmgate is .venv/bin/filmgate; for scripts, most commands have --json[/]"
    )


def _ask(queries: DatabaseQueries, name: str, arguments: str, **given: Any) -> None:
    """Print the command line of a query, then its answer."""
    stdout_console().print(f"\n[bold]$ filmgate {name} {escape(arguments)}[/]")
    ask_and_print(queries, table.load(name), given)
