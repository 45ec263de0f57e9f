"""Query: the screen time of every person in a video."""

from filmgate.core.answers import PersonTimeAnswer, ScreentimeAnswer
from filmgate.core.command import Printer
from filmgate.core.query import Query, QueryContext
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.sessions import connection_of
from filmgate.media.time import short_clock
from filmgate.services.queries.parameters import SelectionParameters

NOT_MEASURED = "–"
HEADS = ("cluster", "on screen", "share", "face", "body", "bridged")
WIDE_HEADS = ("speaking", "confessional", "appearances")


def screentime(context: QueryContext, parameters: SelectionParameters) -> ScreentimeAnswer:
    """Return the screen time of every person in a video: by visible face, body and bridged gap,
    longest first."""
    selection = parameters.run_selection
    with context.read() as session:
        return ArtifactQueries(connection_of(session)).screentime(parameters.asset, selection)


def show(answer: ScreentimeAnswer, _parameters: SelectionParameters, printer: Printer) -> None:
    """Print one row per person; times are in minutes, seconds and tenths of a second."""
    if not answer.people:
        printer.note("No person is on screen.")
    else:
        heads = (*HEADS, *(WIDE_HEADS if printer.is_wide else ()))
        rows = [(*_row(person)[: len(heads)], _name_of(person)) for person in answer.people]
        printer.table((*heads, "person"), rows, right=heads[1:])
    printer.note(f"from run {next(iter(answer.runs.values()))}")


def _name_of(person: PersonTimeAnswer) -> str:
    if person.name is None and person.unsure:
        return f"perhaps {person.unsure[0].name}"
    return person.name or "unknown"


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


SCREENTIME = Query(
    name="screentime",
    path="/v1/videos/{asset_id}/screentime",
    tag="videos",
    parameters=SelectionParameters,
    answer=ScreentimeAnswer,
    run=screentime,
    show=show,
    has_wide=True,
)
