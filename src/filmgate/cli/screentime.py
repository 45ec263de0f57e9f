"""`filmgate screentime`: how long everybody is on screen."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli import choosing
from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.answers import PersonTimeAnswer, ScreentimeAnswer

NOT_MEASURED = "–"
COLUMNS = ("person", "cluster", "on screen", "share", "face seen", "body only", "bridged")
MORE_COLUMNS = ("speaking", "confessional", "stretches")


def screentime(
    asset: Annotated[str, typer.Argument(help="The video's asset id.")],
    selection: choosing.Mode = None,
    profile: choosing.Profile = None,
    run: choosing.Run = None,
    as_json: AsJson = False,
) -> None:
    """How long everybody is on screen, and on what evidence; the longest first."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.output import print_json

    chosen = choosing.selection_of(selection, profile, run)
    answer = Archive(settings.load()).screentime(asset, chosen)
    if as_json:
        print_json(answer)
    else:
        print_screentime(answer)


def print_screentime(answer: "ScreentimeAnswer") -> None:
    """A person a line."""

    from filmgate.cli.output import columns, out, talk

    if not answer.people:
        talk().print("nobody is on screen")
    heads = (*COLUMNS, *MORE_COLUMNS)
    table = columns(*heads, right=heads[2:])
    for person in answer.people:
        table.add_row(*_row(person))
    if answer.people:
        out().print(table)
    talk().print(f"[dim]from run {next(iter(answer.runs.values()))}[/]")


def _row(person: "PersonTimeAnswer") -> tuple[str, ...]:
    from rich.markup import escape

    from filmgate.cli.output import printable

    name = person.name
    if name is None and person.unsure:
        name = f"perhaps {person.unsure[0].name}"
    spans = (person.face_visible_ms, person.body_only_ms, person.gap_bridged_ms)
    return (
        escape(printable(name or "somebody")),
        person.identity_id,
        _clock(person.onscreen_ms),
        f"{person.share:.0%}",
        *(_clock(each) for each in spans),
        _clock(person.speaking_ms),
        _clock(person.confessional_ms),
        str(person.appearances),
    )


def _clock(ms: int | None) -> str:
    from filmgate.media.time import clock_text

    return NOT_MEASURED if ms is None else clock_text(ms)
