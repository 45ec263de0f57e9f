"""Action: write the HTML report of a quality manifest, with frames of the flagged sessions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from filmgate.core.command import Answer, CommandLine, Parameters, Printer
from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
from filmgate.core.objects import ObjectStore
from filmgate.core.query import Action, ActionContext
from filmgate.media.time import format_clock
from filmgate.pipelines.gameplay.extracted import ExtractedFile
from filmgate.pipelines.gameplay.options import GameplayOptions
from filmgate.pipelines.gameplay.report.contents import FlaggedSession, summarise_table
from filmgate.pipelines.gameplay.report.page import render_page
from filmgate.pipelines.gameplay.session import GameSession
from filmgate.tools.byte_ranges import open_byte_ranges
from filmgate.tools.contact_sheet import contact_sheet
from filmgate.tools.torch_files.reading import PtFile

LARGE = frozenset({"video_metadata", "session_metadata"})
"""Columns that a report does not use."""

FRAMES = 12
"""Number of frames in a contact sheet."""


class CheckCount(Answer):
    """The results of one check on the sessions of a quality manifest."""

    name: str
    flagged: int
    """Number of sessions that the check flagged."""
    judged: int
    """Number of sessions that the check could judge."""


class FailureCount(Answer):
    """The items of a quality manifest that failed with one code."""

    code: str
    count: int
    example: str


class QualityReport(Answer):
    """The numbers and the path of a report."""

    page: str
    sessions: int
    clean: int
    """Number of sessions that no check flagged."""
    failed: int
    without_frames: int
    """Number of flagged sessions shown without frames because their `.pt` files cannot be read."""
    checks: tuple[CheckCount, ...]
    failures: tuple[FailureCount, ...]


class ReportParameters(Parameters):
    """What to report, and where to."""

    manifest: Annotated[
        Path,
        Field(description="Quality manifest, a Parquet file."),
        CommandLine(is_argument=True, metavar="MANIFEST"),
    ]
    output: Annotated[
        Path | None,
        Field(description="HTML file to write. Default: beside the manifest."),
        CommandLine(metavar="FILE"),
    ] = None
    manifest_bucket: Annotated[
        str | None,
        Field(description="Bucket or folder of .pt files. Default: game-data-manifest."),
        CommandLine(metavar="BUCKET"),
    ] = None
    worst: Annotated[
        int,
        Field(ge=1, le=1000, description="Show at most N sessions per check."),
        CommandLine(metavar="N"),
    ] = 12


def write_report(context: ActionContext, parameters: ReportParameters) -> QualityReport:
    """Write an HTML report of a quality manifest.

    The report shows how many sessions each check flagged, the errors, and frames of the flagged
    sessions, worst first. It is one file, which a browser opens without a server.
    """
    table = parameters.manifest
    output = parameters.output or table.with_suffix(".html")
    report = summarise_table(table.name, _rows(table), worst=parameters.worst)
    store = _find_store(context, parameters.manifest_bucket)
    missing = 0

    def draw_sheet(flagged: FlaggedSession) -> str | None:
        nonlocal missing
        image = _contact_sheet(store, flagged) if store is not None else None
        missing += image is None
        return image

    draft = output.with_name(f".{output.name}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(render_page(report, draw_sheet))
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return QualityReport(
        page=str(output),
        sessions=report.rows - report.failed,
        clean=report.clean,
        failed=report.failed,
        without_frames=missing,
        checks=tuple(
            CheckCount(name=check.name, flagged=check.flagged, judged=check.judged)
            for check in report.checks
        ),
        failures=tuple(
            FailureCount(code=kind.code, count=kind.count, example=kind.example)
            for kind in report.failure_kinds
        ),
    )


def _rows(table: Path) -> Iterator[dict[str, object]]:
    try:
        import pyarrow as pa  # heavy library
        import pyarrow.parquet as pq
    except ImportError as error:
        raise Unavailable(
            "pyarrow is not installed", hint="pip install 'filmgate[gameplay]'"
        ) from error
    if not table.is_file():
        raise NotFound(f"file {table} does not exist", expected="a quality manifest in Parquet")
    try:
        with pq.ParquetFile(table) as file:
            if "s3_key" not in file.schema_arrow.names:
                raise Invalid(
                    f"{table} is not a quality manifest",
                    expected="a column s3_key, as `filmgate run gameplay` writes it",
                    got=", ".join(file.schema_arrow.names[:10]),
                )
            names = [name for name in file.schema_arrow.names if name not in LARGE]
            for batch in file.iter_batches(columns=names):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise Invalid(
            f"{table} cannot be read", expected="a Parquet file", got=str(error)[:200]
        ) from error


def _find_store(context: ActionContext, bucket: str | None) -> ObjectStore | None:
    """Open the store of the frames; None if no bucket was given and the default is missing."""
    try:
        return context.open_store(GameplayOptions(manifest_bucket=bucket).target)
    except FilmgateError:
        if bucket is not None:
            raise
        return None


def _contact_sheet(store: ObjectStore, flagged: FlaggedSession) -> str | None:
    """Return a contact sheet of a session: an image of frames with their times.

    Frames that the checks named come first; other frames are spread evenly over the video. Returns
    None if the session cannot be read.
    """
    try:
        extracted = ExtractedFile(PtFile(open_byte_ranges(store, flagged.pt_key)))
        series = GameSession(extracted, menu_flag_threshold=0).main_series
        numbers, times = extracted.frame_numbers(series), extracted.times_ms(series)
        named = {number for value in flagged.evidence.values() for number in _int_items(value)}
        indices = _select_indices(numbers, named)
        frames = extracted.frames(series)[indices]
    except FilmgateError:
        return None
    return contact_sheet(frames, [format_clock(times[index]) for index in indices])


def _int_items(value: object) -> list[int]:
    """Return the integers in a list; none for any other value."""
    return [item for item in value if isinstance(item, int)] if isinstance(value, list) else []


def _select_indices(numbers: list[int], named: set[int]) -> list[int]:
    """Select up to `FRAMES` frames, named ones before evenly spread ones; return sorted indices."""
    first = [index for index, number in enumerate(numbers) if number in named]
    first = (
        [first[k * len(first) // FRAMES] for k in range(FRAMES)] if len(first) > FRAMES else first
    )
    even = [index * len(numbers) // FRAMES for index in range(FRAMES)]
    chosen = list(dict.fromkeys([*first, *even]))[: min(FRAMES, len(numbers))]
    return sorted(chosen)


def show(answer: QualityReport, _parameters: ReportParameters, printer: Printer) -> None:
    """Print the number of sessions that each check flagged, the failures, and the report's path."""
    printer.line(f"{_sessions(answer.sessions)}, {answer.clean:,} without a flag")
    for check in answer.checks:
        printer.line(f"  {check.name:24} {check.flagged:>7,} of {check.judged:,}")
    for kind in answer.failures:
        printer.line(f"  {kind.count:,} × {kind.code}, such as {kind.example}")
    if answer.without_frames:
        printer.line(
            (f"{_sessions(answer.without_frames)} without frames", "yellow"),
            ": set --manifest-bucket to the bucket or folder of the .pt files",
        )
    printer.line(f"page       {answer.page}")


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count:,} sessions"


REPORT = Action(
    name="gameplay report",
    parameters=ReportParameters,
    answer=QualityReport,
    run=write_report,
    show=show,
)
