"""`filmgate people`: known people, and the face clusters that show them."""

from functools import partial
from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson
from filmgate.cli.completion import complete_runs
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json, print_table, stderr_console
from filmgate.cli.progress import stage_progress
from filmgate.cli.text import counted, examples, printable
from filmgate.core.answers import ErasureAnswer, PersonAnswer
from filmgate.services.erasure import ErasureService
from filmgate.services.people import PeopleService
from filmgate.wiring import logs, settings

ERASING = "erasing"

app = command_group("List, name, rename and remove known people.")

Cluster = Annotated[
    str,
    typer.Argument(
        metavar="CLUSTER", help="Face cluster, such as c1, as `filmgate screentime` lists it."
    ),
]
InRun = Annotated[
    str | None,
    typer.Option(
        "--in",
        metavar="RUN",
        help="Asset id or ASSET/RUN of the cluster. Required if several videos have runs.",
        autocompletion=complete_runs,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Report what would be erased; change nothing.")
]
Known = Annotated[str, typer.Argument(metavar="PERSON", help="Name or id of a known person.")]


@app.command("list", epilog=examples("filmgate people list"))
def list_people(as_json: AsJson = False) -> None:
    """List known people and their clusters."""
    with PeopleService(settings.load()).store() as stored:
        answer = stored.all()
    if as_json:
        print_json(answer)
        return
    if not answer.people:
        stderr_console().print(
            'No person is known yet. To name one: filmgate people name c1 "Lisa"'
        )
        return
    rows = []
    for person in answer.people:
        clusters = ", ".join(f"{each.asset_id}/{each.cluster_id}" for each in person.clusters)
        rows.append([escape(printable(person.name)), person.person_id, clusters])
    print_table(("name", "person", "clusters"), rows)


@app.command("name", epilog=examples('filmgate people name c1 "Lisa" --in film'))
def name(
    cluster: Cluster,
    person: Annotated[str, typer.Argument(metavar="NAME", help="Name of a known or a new person.")],
    in_run: InRun = None,
    as_json: AsJson = False,
) -> None:
    """Name the person that a face cluster shows.

    The results of the run show the name at once; later runs recognise the face.
    """
    _print_person(PeopleService(settings.load()).name(cluster, person, in_run), as_json=as_json)


@app.command("unname", epilog=examples("filmgate people unname c1 --in film"))
def unname(cluster: Cluster, in_run: InRun = None) -> None:
    """Remove the name of a cluster."""
    PeopleService(settings.load()).unname(cluster, in_run)
    typer.echo(f"removed the name of {cluster}")


@app.command("rename", epilog=examples('filmgate people rename "Lisa" "Lisa Vanderpump"'))
def rename(
    person: Known,
    new_name: Annotated[str, typer.Argument(metavar="NAME", help="New name of the person.")],
    as_json: AsJson = False,
) -> None:
    """Rename a known person everywhere."""
    _print_person(PeopleService(settings.load()).rename(person, new_name), as_json=as_json)


@app.command("remove", epilog=examples('filmgate people remove "Lisa"'))
def remove(person: Known, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Erase a known person from the database and from all runs.

    Face vectors, face crops and the name leave the files of all runs, sealed ones included; the
    files get new digests. Published copies are listed. After an interruption, repeat the command.
    """
    logs.configure("WARNING")
    with stage_progress(quiet=True) as progress:
        report = partial(progress.stage_progress, ERASING)
        answer = ErasureService(settings.load()).erase(
            person, dry_run=dry_run, report_progress=report
        )
    if as_json:
        print_json(answer)
    else:
        _print_erasure(answer)


def _print_erasure(answer: ErasureAnswer) -> None:
    verb = "would erase" if answer.is_dry_run else "erased"
    runs = counted(len(answer.runs), "runs")
    typer.echo(f"{verb} {printable(answer.name)} ({answer.person_id}) from {runs}")
    for run in answer.runs:
        details = [f"clusters {', '.join(run.clusters)}" if run.clusters else "the name"]
        details += [counted(len(run.files), "files")] if run.files else []
        details += ["sealed"] if run.is_sealed else []
        typer.echo(f"  {run.asset_id}/{run.run_id}  {', '.join(details)}")
    if answer.published:
        typer.echo("published copies still contain the person; delete them:")
    for copy in answer.published:
        typer.echo(f"  {copy.asset_id}/{copy.run_id}  {copy.source}/{copy.manifest_key}")
    if answer.unsure:
        typer.echo(f"not erased, because they only resemble the person: {', '.join(answer.unsure)}")
    for note in answer.notes:
        typer.echo(f"note: {note}", err=True)


def _print_person(person: PersonAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(person)
        return
    clusters = counted(len(person.clusters), "clusters")
    typer.echo(f"{printable(person.name)} ({person.person_id}), {clusters}")
