"""`filmgate screentime`: show screen time per person."""

from rich.markup import escape

from filmgate.cli import selection_options
from filmgate.cli.arguments import AsJson, Asset, Wide
from filmgate.cli.output import print_json, print_table, stderr_console
from filmgate.cli.text import printable, short_clock
from filmgate.core.answers import PersonTimeAnswer, ScreentimeAnswer
from filmgate.services.queries import Queries
from filmgate.wiring import settings

NOT_MEASURED = "–"
HEADS = ("cluster", "on screen", "share", "face", "body", "bridged")
WIDE_HEADS = ("speaking", "confessional", "appearances")


def screentime(
    asset: Asset,
    selection: selection_options.Mode = None,
    profile: selection_options.Profile = None,
    run: selection_options.Run = None,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show screen time per person, by visible face, body and bridged gap, longest first."""
    chosen = selection_options.selection_of(selection, profile, run)
    answer = Queries(settings.load()).screentime(asset, chosen)
    if as_json:
        print_json(answer)
    else:
        print_screentime(answer, is_wide=wide)


def print_screentime(answer: ScreentimeAnswer, *, is_wide: bool = False) -> None:
    """Print one row per person; times are in minutes, seconds and tenths of a second."""
    if not answer.people:
        stderr_console().print("No person is on screen.")
    else:
        heads = (*HEADS, *(WIDE_HEADS if is_wide else ()))
        rows = [(*_row(person)[: len(heads)], _name_of(person)) for person in answer.people]
        print_table((*heads, "person"), rows, right=set(heads[1:]))
    stderr_console().print(f"[dim]from run {next(iter(answer.runs.values()))}[/]")


def _name_of(person: PersonTimeAnswer) -> str:
    name = person.name
    if name is None and person.unsure:
        name = f"perhaps {person.unsure[0].name}"
    return escape(printable(name or "unknown"))


def _row(person: PersonTimeAnswer) -> tuple[str, ...]:
    return (
        person.identity_id,
        _clock(person.onscreen_ms),
        f"{person.share:.0%}",
        _clock(person.face_visible_ms),
        _clock(person.body_only_ms),
        _clock(person.gap_bridged_ms),
        _clock(person.speaking_ms),
        _clock(person.confessional_ms),
        str(person.appearances),
    )


def _clock(ms: int | None) -> str:
    return NOT_MEASURED if ms is None else short_clock(ms)
