"""`filmgate demo`: the whole way from a film to answers, on a film that it makes itself."""

from typing import TYPE_CHECKING

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.app.demo import DemoReport


def demo(as_json: AsJson = False) -> None:
    """Compose a half-minute film, run the episode pipeline on it, then find and jump in it."""
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
