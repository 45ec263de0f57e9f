"""Legacy import: copy rows of an older product, from files or tables, to the database unchanged.

The rows are not verified; every response that contains them says so.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path

import psycopg

from filmgate.core.answers import LegacyReceipt
from filmgate.core.digest import canonical_json
from filmgate.core.errors import Invalid, NotFound, UsageError
from filmgate.core.ids import AssetId
from filmgate.core.moments import MAX_MS
from filmgate.core.payloads.artifact_type import TYPE_NAME
from filmgate.db.legacy import LegacyArtifacts, LegacyRow
from filmgate.db.sessions import storable_text
from filmgate.media.time import milliseconds

TABLE = "table:"
"""Prefix of a source that is a table of the database."""

TYPES = {
    "faces": "face.detection",
    "face_detections": "face.detection",
    "objects": "object.detection",
    "ocr": "ocr.text",
    "persons": "person.detection",
    "places": "place.classification",
    "scenes": "scene",
    "screentime": "screentime.segment",
    "tracks": "track",
    "transcript": "transcript.segment",
}
"""Artifact types by the names of legacy files and tables."""

STARTS = {
    "span_start_ms": 1000,
    "start_ms": 1000,
    "timestamp_ms": 1000,
    "start_s": 1,
    "timestamp_s": 1,
}
ENDS = {"span_end_ms": 1000, "end_ms": 1000, "end_s": 1}
"""Columns with start and end times, and their units per second. A row without an end time ends at
its start."""

TEXT_COLUMNS = frozenset(
    {"text", "label", "speaker", "language", "cluster_id", "track_id", "method"}
)
"""Columns whose cells are never parsed as numbers."""

ID_COLUMNS = frozenset({"id", "asset_id", "video_id", "episode_id", "ep_id"})
"""Columns that are not part of the payload."""


def import_legacy(
    connection: psycopg.Connection, asset_id: AssetId, source: str, artifact_type: str | None
) -> tuple[LegacyReceipt, ...]:
    """Import a file, a folder of files named after their types, or `table:schema.name`.

    Each import replaces the earlier one of the same asset and type. If anything raises, nothing is
    imported. Raises NotFound if the source does not exist or contains nothing, UsageError if the
    type is invalid or unknown, and Invalid with the number of the first invalid row.
    """
    store = LegacyArtifacts(connection)
    receipts = []
    _check_type(artifact_type)
    with connection.transaction():
        for kind, name, rows in _find_sources(store, asset_id, source, artifact_type):
            sorted_rows = _sort_rows(rows, name)
            if not sorted_rows:
                raise _row_error(name, 1, "at least one row", "none")
            count = store.replace(asset_id, kind, sorted_rows, storable_text(name))
            receipts.append(
                LegacyReceipt(asset_id=asset_id, artifact_type=kind, source=name, artifacts=count)
            )
    return tuple(receipts)


def _find_sources(
    store: LegacyArtifacts, asset_id: AssetId, source: str, artifact_type: str | None
) -> Iterator[tuple[str, str, Iterable[Mapping[str, object]]]]:
    """Yield (artifact type, name, rows) of each table or file."""
    if source.startswith(TABLE):
        table = source.removeprefix(TABLE)
        kind = artifact_type or _type_of(table.rpartition(".")[2])
        yield kind, source, store.rows_of_table(table, asset_id)
        return
    path = Path(source)
    if not source:
        raise UsageError("the source is missing", expected="a file, a folder or table:schema.name")
    if path.is_file():
        yield artifact_type or _type_of(path.stem), path.name, _read_rows(path)
        return
    if not path.is_dir():
        raise NotFound(
            f"{source} does not exist", expected="a JSONL or CSV file, or a folder of them"
        )
    files = [
        file
        for file in sorted(path.iterdir())
        if file.suffix in {".jsonl", ".csv"} and TYPES.get(file.stem)
    ]
    if not files:
        raise NotFound(
            f"{source} contains no file of a known type",
            expected=f"files such as {', '.join(f'{name}.jsonl' for name in TYPES)}",
            got=", ".join(sorted(file.name for file in path.iterdir())[:10]) or "an empty folder",
            hint="Import a file by its path, with --type",
        )
    by_type: dict[str, Path] = {}
    for file in files:
        other = by_type.setdefault(TYPES[file.stem], file)
        if other != file:
            raise Invalid(
                f"two files in {source} contain {TYPES[file.stem]}",
                expected="one file for each type",
                got=f"{other.name} and {file.name}",
                hint="Import one of them by its path; nothing was imported",
            )
    for kind, file in by_type.items():
        yield kind, file.name, _read_rows(file)


def _check_type(name: str | None) -> None:
    if name is not None and not re.fullmatch(TYPE_NAME, name):
        raise UsageError(
            "the artifact type is invalid", expected="a name such as ocr.text", got=repr(name)
        )


def _type_of(name: str) -> str:
    if name not in TYPES:
        raise UsageError(
            f"the artifact type of {name!r} is unknown",
            expected=f"--type, or a name such as {', '.join(TYPES)}",
            got=repr(name),
        )
    return TYPES[name]


def _read_rows(path: Path) -> Iterator[Mapping[str, object]]:
    """Yield the rows of a file. Raises Invalid with the number of the first invalid row."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = _parse_csv(file) if path.suffix == ".csv" else _parse_jsonl(file)
            for number, row in enumerate(lines, 1):
                if not isinstance(row, dict):
                    raise _row_error(path.name, number, "a JSON object", repr(row)[:80])
                yield row
    except (ValueError, RecursionError, csv.Error) as error:
        expected = "columns as named in the first row" if path.suffix == ".csv" else "JSON"
        raise _row_error(
            path.name, number + 1, f"{expected}, in UTF-8", str(error)[:200]
        ) from error


def _parse_jsonl(file: Iterable[str]) -> Iterator[object]:
    return (json.loads(line) for line in file if line.strip())


def _parse_csv(file: Iterable[str]) -> Iterator[dict[str, object]]:
    for row in csv.DictReader(file):
        if None in row:
            raise ValueError("more cells than columns")
        yield {name: _parse_cell(name, text) for name, text in row.items() if text}


def _parse_cell(column: str, text: str) -> object:
    """Parse a cell that contains a number, an object or a list in JSON; return other cells as text.

    Cells in `TEXT_COLUMNS` are always returned as text.
    """
    try:
        value = text if column in TEXT_COLUMNS else json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_plain = isinstance(value, int | float | dict | list) and not isinstance(value, bool)
    is_infinite = isinstance(value, float) and not math.isfinite(value)
    return value if is_plain and not is_infinite else text


def _sort_rows(rows: Iterable[Mapping[str, object]], name: str) -> list[LegacyRow]:
    parsed = [_parse_row(row, name, number) for number, row in enumerate(rows, 1)]
    return sorted(parsed, key=lambda row: (row[0], row[1], json.dumps(row[2], sort_keys=True)))


def _parse_row(row: Mapping[str, object], name: str, number: int) -> LegacyRow:
    start = _find_time(row, STARTS, name, number)
    if start is None:
        raise _row_error(name, number, f"one of {', '.join(STARTS)}", ", ".join(row) or "nothing")
    end = _find_time(row, ENDS, name, number)
    end = start if end is None else end
    if not 0 <= start <= end <= MAX_MS:
        raise _row_error(name, number, "0 <= start <= end", f"{start} to {end} ms")
    payload_cell = row.get("payload")
    excluded = {*STARTS, *ENDS, *ID_COLUMNS}
    payload = (
        payload_cell
        if isinstance(payload_cell, dict)
        else {column: value for column, value in row.items() if column not in excluded}
    )
    try:
        text = canonical_json(payload)  # refuses NaN and single surrogates
    except (ValueError, RecursionError) as error:
        raise _row_error(name, number, "values that are valid in JSON", str(error)) from error
    if NUL.search(text):
        raise _row_error(name, number, "text without NUL characters", "a NUL character")
    if not _is_shallow(payload, MAX_DEPTH):
        raise _row_error(name, number, f"values at most {MAX_DEPTH} levels deep", "deeper values")
    return start, end, payload


NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""The escape sequence of NUL in JSON text, unless its backslash is escaped."""

MAX_DEPTH = 50
"""Maximum depth of nested objects and lists in a payload."""


def _is_shallow(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    members = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(member, levels - 1) for member in members)


def _find_time(
    row: Mapping[str, object], columns: Mapping[str, int], name: str, number: int
) -> int | None:
    """Return the time in the first of the columns that the row has, in milliseconds."""
    for column, units_per_second in columns.items():
        if row.get(column) is not None:
            try:
                return milliseconds(_parse_number(row[column]) / units_per_second)
            except (ValueError, InvalidOperation) as error:
                raise _row_error(
                    name, number, f"a number in {column}", repr(row[column])
                ) from error
    return None


def _parse_number(value: object) -> Fraction:
    """Return the exact value of a number.

    Raises ValueError if the value is not a number, or is too large or too precise for a time.
    """
    number = Decimal(str(value))
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > MAX_EXPONENT or not abs(number) <= MAX_MS:
        raise ValueError(f"{value!r} is not a time")
    return Fraction(number)


MAX_EXPONENT = 30
"""Maximum absolute value of the decimal exponent of a number."""


def _row_error(name: str, number: int, expected: str, got: str) -> Invalid:
    return Invalid(
        f"row {number} of {name} is invalid",
        expected=expected,
        got=got,
        hint="Correct the row, and import again; nothing was imported",
    )
