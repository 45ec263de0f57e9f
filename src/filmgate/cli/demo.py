"""`filmgate demo`: the whole way from a film to answers, on a film that it makes itself."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.app.demo import DemoReport


class Sample(StrEnum):
    """What the demonstration is of."""

    EPISODE = "episode"
    FILM = "film"
    RULEBOOK = "rulebook"
    GAMEPLAY = "gameplay"


QUESTIONS = (
    "how much damage does kindle do",
    "which callings get cold flame",
    "what does storm oil cost",
)


def demo(
    sample: Annotated[
        Sample,
        typer.Argument(
            help="episode: a film and its people; film: that film alone; rulebook: a book of "
            "rules; gameplay: recorded sessions of a game."
        ),
    ] = Sample.EPISODE,
    as_json: AsJson = False,
) -> None:
    """Compose a half-minute film, typeset a book of rules, or draw sessions of a game; run the
    pipeline on it, and ask."""
    match sample:
        case Sample.EPISODE:
            _of_a_film(as_json=as_json)
        case Sample.FILM:
            _compose()
        case Sample.RULEBOOK:
            _of_a_book(as_json=as_json)
        case Sample.GAMEPLAY:
            _of_a_game(as_json=as_json)


def _compose() -> None:
    """Compose the sample film, where it is not there yet; print where it is."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.demo import film_in
    from filmgate.cli.progress import stage_progress

    with stage_progress(quiet=True) as progress:
        made = film_in(
            settings.load().home,
            lambda done, total: progress.stage_progress("composing", done, total),
        )
    typer.echo(str(made))


def _of_a_game(*, as_json: bool) -> None:
    """Draw the sample sessions, extract and judge them, then make the report."""
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.demo import sessions_in
    from filmgate.app.game_sessions import GameplayOptions
    from filmgate.app.quality_reports import write_report
    from filmgate.app.run_options import RunOptions
    from filmgate.app.system import System
    from filmgate.cli.gameplay import print_counts
    from filmgate.cli.output import out, print_json, talk
    from filmgate.cli.progress import stage_progress
    from filmgate.cli.report import print_report

    logs.configure("WARNING")
    chosen = settings.load()
    with stage_progress(quiet=True) as progress:
        listed = sessions_in(
            chosen.home, lambda done, total: progress.stage_progress("drawing", done, total)
        )
        folder = listed.parent
        asked = GameplayOptions(
            source_bucket=str(folder / "game-data"),
            manifest_bucket=str(folder / "game-data-manifest"),
            output_path=str(folder / "quality.parquet"),
        )
        talk().print(f"running the gameplay pipeline on [bold]{folder / 'game-data'}[/]")
        options = RunOptions(new=True, settings=asked.settings())
        report = System(chosen).run("gameplay", listed, options, progress, progress.hashed)
    if as_json:
        print_json(report.manifest)
        raise typer.Exit(report.exit_code)
    print_report(report, as_json=False)
    table = folder / "quality.parquet"
    page = folder / "quality.html"
    out().print(f"\n[bold]$ filmgate gameplay report {table}[/]")
    print_counts(write_report(table, page, chosen, bucket=asked.manifest_bucket, worst=12))
    out().print("[bold]your own sessions[/]  filmgate run gameplay --task-list FILE …")
    raise typer.Exit(report.exit_code)


def _of_a_book(*, as_json: bool) -> None:
    """Typeset the sample book, run the six passes on it, then ask it three questions."""
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.demo import book_in
    from filmgate.app.rulebooks import Rulebooks
    from filmgate.app.run_options import RunOptions
    from filmgate.app.system import System
    from filmgate.cli.ask import print_answer
    from filmgate.cli.output import out, print_json, talk
    from filmgate.cli.progress import stage_progress
    from filmgate.cli.report import print_report

    logs.configure("WARNING")
    chosen = settings.load()
    uploads = book_in(chosen.home)
    with stage_progress(quiet=True) as progress:
        talk().print(f"running the six passes on the book in [bold]{uploads}[/]")
        options = RunOptions(new=True)
        report = System(chosen).run("rulebook", uploads, options, progress, progress.hashed)
    if as_json:
        print_json(report.manifest)
    else:
        print_report(report, as_json=False)
        rulebooks = Rulebooks(chosen)
        with rulebooks.lasting():
            for question in QUESTIONS if report.receipt else ():
                out().print(f"\n[bold]$ filmgate ask {question} --limit 1[/]")
                print_answer(rulebooks.ask(question, env=None, book=None, limit=1, vectors=False))
        out().print("[bold]your own books[/]  filmgate run rulebook --uploads FOLDER")
    raise typer.Exit(report.exit_code)


def _of_a_film(*, as_json: bool) -> None:
    """Compose the sample film, run the episode pipeline on it, then find and jump in it."""
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.app.demo import film_in, run_demo
    from filmgate.app.system import System
    from filmgate.cli.output import print_json, talk
    from filmgate.cli.progress import stage_progress

    logs.configure("WARNING")
    chosen = settings.load()
    with stage_progress(quiet=True) as progress:
        film = film_in(
            chosen.home, lambda done, total: progress.stage_progress("composing", done, total)
        )
        talk().print(f"running the episode pipeline on [bold]{film}[/]")
        report = run_demo(System(chosen), Archive(chosen), film, progress, progress.hashed)
    if as_json:
        print_json(report.run.manifest)
    else:
        _show(report)
    raise typer.Exit(report.run.exit_code)


def _show(report: "DemoReport") -> None:
    from filmgate.app.demo import FROM_MS, TITLE, WORDS
    from filmgate.cli.answers import print_find, print_jump, span_of
    from filmgate.cli.output import out
    from filmgate.cli.report import print_report
    from filmgate.cli.screentime import print_screentime

    asset = report.run.manifest.asset.id
    print_report(report.run, as_json=False)
    out().print(f"\n[bold]{len(report.scenes)} scenes[/]")
    for scene in report.scenes:
        out().print(f"  {scene.payload['scene_index']}  {span_of(scene)}")
    out().print(f"\n[bold]$ filmgate find {asset} {WORDS}[/]")
    print_find(report.found)
    out().print(f"\n[bold]$ filmgate find {asset} --source ocr {TITLE}[/]")
    print_find(report.shown)
    out().print(f"\n[bold]$ filmgate screentime {asset}[/]")
    print_screentime(report.people)
    out().print(f"\n[bold]$ filmgate jump {asset} --kind scene --from-ms {FROM_MS}[/]")
    print_jump(report.jumped)
    out().print(
        f"\n[bold]the report[/]       {report.run.folder}/exports/run_debug.pdf"
        f'\n[bold]who is it?[/]       filmgate people name c1 "Eileen Collins" --in {asset}'
        "\n[bold]your own video[/]  filmgate run episode VIDEO"
        "\n[bold]all your runs[/]   filmgate status"
        "\n[dim]filmgate is .venv/bin/filmgate; add --json to any command for scripts[/]"
    )
