"""`filmgate people`: who is known, and which clusters of faces are they."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.answers import PersonAnswer

app = typer.Typer(help="Known people: name them once, find them again.", no_args_is_help=True)

Cluster = Annotated[
    str, typer.Argument(help="Such as c1: `filmgate screentime` and the report show them.")
]
In = Annotated[
    str | None,
    typer.Option("--in", help="The video, or ASSET/RUN; needed where there are several."),
]
Known = Annotated[str, typer.Argument(help="A person's name or id.")]


@app.command("list")
def list_people(as_json: AsJson = False) -> None:
    """Everybody who is known, and by which clusters."""
    from rich.markup import escape

    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.people import People
    from filmgate.cli.output import columns, out, print_json, talk

    answer = People(settings.load()).all()
    if as_json:
        print_json(answer)
        return
    if not answer.people:
        talk().print('nobody is known yet: `filmgate people name c1 "Lisa"`')
    table = columns("name", "person", "known by")
    for person in answer.people:
        known_by = ", ".join(f"{each.asset_id}/{each.cluster_id}" for each in person.clusters)
        table.add_row(escape(person.name), person.person_id, known_by)
    if answer.people:
        out().print(table)


@app.command("name")
def name(
    cluster: Cluster,
    person: Annotated[str, typer.Argument(help="Their name; of somebody known, or new.")],
    inside: In = None,
    as_json: AsJson = False,
) -> None:
    """Say who a cluster is. The next runs recognise the face; this one shows the name at once."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.people import People

    _tell(People(settings.load()).name(cluster, person, inside), as_json=as_json)


@app.command("unname")
def unname(cluster: Cluster, inside: In = None) -> None:
    """Take a cluster's name back."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.people import People

    People(settings.load()).unname(cluster, inside)
    typer.echo(f"{cluster} has no name any more")


@app.command("rename")
def rename(
    person: Known,
    new_name: Annotated[str, typer.Argument(help="What they are called from now on.")],
    as_json: AsJson = False,
) -> None:
    """Give a known person another name, everywhere."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.people import People

    _tell(People(settings.load()).rename(person, new_name), as_json=as_json)


@app.command("remove")
def remove(person: Known, as_json: AsJson = False) -> None:
    """Forget a known person, with all faces. Runs keep what they recognised."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.people import People

    removed = People(settings.load()).remove(person)
    if as_json:
        _tell(removed, as_json=True)
    else:
        typer.echo(f"removed {removed.name} ({removed.person_id})")


def _tell(person: "PersonAnswer", *, as_json: bool) -> None:
    from filmgate.cli.output import print_json, printable

    if as_json:
        print_json(person)
        return
    count = len(person.clusters)
    clusters = f"{count} cluster{'s' if count != 1 else ''}"
    typer.echo(f"{printable(person.name)} ({person.person_id}), known by {clusters}")
