"""`filmgate people`: known people, and the face clusters that show them."""

from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson
from filmgate.cli.completion import complete_runs
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json, print_table, stderr_console
from filmgate.cli.text import counted, examples, printable
from filmgate.core.answers import PersonAnswer
from filmgate.services.people import PeopleService
from filmgate.wiring import settings

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
def remove(person: Known, as_json: AsJson = False) -> None:
    """Remove a known person with all face vectors.

    The artifacts of existing runs do not change.
    """
    removed = PeopleService(settings.load()).remove(person)
    if as_json:
        _print_person(removed, as_json=True)
    else:
        typer.echo(f"removed {removed.name} ({removed.person_id})")


def _print_person(person: PersonAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(person)
        return
    clusters = counted(len(person.clusters), "clusters")
    typer.echo(f"{printable(person.name)} ({person.person_id}), {clusters}")
