"""Reports of quality manifests, with the frames of what was flagged."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.app.game_sessions import SOURCE, TARGET, place_of
from filmgate.app.settings import Settings
from filmgate.app.stores import open_store
from filmgate.core.answers import CheckCount, FailureCount, QualityReportAnswer
from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from filmgate.core.objects import ObjectStore
    from filmgate.pipelines.gameplay.report.contents import Flagged

LARGE = frozenset({"video_metadata", "session_metadata"})
"""Columns that a report does not tell of."""

FRAMES = 12
"""Of a contact sheet."""


def write_report(
    table: Path, output: Path, settings: Settings, *, bucket: str | None, worst: int
) -> QualityReportAnswer:
    """Write the report of a quality manifest as one HTML file; what it tells.

    Frames are read from the `.pt` files in `bucket`; where they are not there, the page says so.
    Raises NotFound or Invalid where the table is none.
    """
    from filmgate.pipelines.gameplay.report.contents import contents
    from filmgate.pipelines.gameplay.report.page import page

    report = contents(table.name, _rows(table), worst=worst)
    store = _store(settings, bucket)

    missing = 0

    def sheet(flagged: "Flagged") -> str | None:
        nonlocal missing
        made = _sheet(store, flagged) if store is not None else None
        missing += made is None
        return made

    draft = output.with_name(f".{output.name}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(page(report, sheet))
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return QualityReportAnswer(
        page=str(output),
        sessions=report.rows - report.failed,
        clean=report.clean,
        failed=report.failed,
        without_frames=missing,
        checks=tuple(
            CheckCount(name=each.name, flagged=each.flagged, judged=each.judged)
            for each in report.checks
        ),
        failures=tuple(
            FailureCount(code=each.code, count=each.count, example=each.example)
            for each in report.kinds
        ),
    )


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow as pa  # heavy
        import pyarrow.parquet as pq
    except ImportError as error:
        raise Unavailable(
            "pyarrow is not installed", hint="pip install 'filmgate[gameplay]'"
        ) from error
    if not table.is_file():
        raise NotFound(f"no file {table}", expected="a quality manifest in Parquet")
    try:
        with pq.ParquetFile(table) as file:
            if "s3_key" not in file.schema_arrow.names:
                raise Invalid(
                    f"{table} is no quality manifest",
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


def _store(settings: Settings, bucket: str | None) -> "ObjectStore | None":
    """Where the frames are; None where that is not there and was not named."""
    source = place_of(SOURCE)
    try:
        return open_store(
            settings, place_of(bucket or TARGET, is_folder="://" not in source and bucket is None)
        )
    except FilmgateError:
        if bucket is not None:
            raise
        return None


def _sheet(store: "ObjectStore", flagged: "Flagged") -> str | None:
    """Frames spread over the video; those that the check named come first, in order of time."""
    from filmgate.media.time import clock_text
    from filmgate.pipelines.gameplay.extracted import Extracted
    from filmgate.pipelines.gameplay.session import Session
    from filmgate.tools.contact_sheet import contact_sheet
    from filmgate.tools.pieces import open_pieces
    from filmgate.tools.torch_files.reading import PtFile

    try:
        pieces = open_pieces(store, flagged.pt_key)
        extracted = Extracted(PtFile(pieces))
        series = Session(extracted, menu_flag_threshold=0).spread
        numbers, times = extracted.frame_numbers(series), extracted.times_ms(series)
        named = {each for held in flagged.evidence.values() for each in _numbers(held)}
        places = _chosen(numbers, named)
        frames = extracted.frames(series)[places]
    except FilmgateError:
        return None
    return contact_sheet(frames, [clock_text(times[place]) for place in places])


def _numbers(held: Any) -> list[int]:
    return [each for each in held if isinstance(each, int)] if isinstance(held, list) else []


def _chosen(numbers: list[int], named: set[int]) -> list[int]:
    """The places of twelve frames: of those named, then evenly of all, in order."""
    first = [place for place, number in enumerate(numbers) if number in named]
    first = (
        [first[k * len(first) // FRAMES] for k in range(FRAMES)] if len(first) > FRAMES else first
    )
    even = [place * len(numbers) // FRAMES for place in range(FRAMES)]
    chosen = list(dict.fromkeys([*first, *even]))[: min(FRAMES, len(numbers))]
    return sorted(chosen)
