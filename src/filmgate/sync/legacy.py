"""Legacy import: rows that an older product left, in files or tables, into the database as they
are. Nothing in them is verified, and everything that is served of them says so."""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

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
"""What the files of run-less manifests hold, by their name."""

STARTS = {
    "span_start_ms": 1000,
    "start_ms": 1000,
    "timestamp_ms": 1000,
    "start_s": 1,
    "timestamp_s": 1,
}
ENDS = {"span_end_ms": 1000, "end_ms": 1000, "end_s": 1}
"""The columns that tell the time, and how many of their units are a second. Without an end, it
is an instant."""

WORDS = frozenset({"text", "label", "speaker", "language", "cluster_id", "track_id", "method"})
"""Columns whose cells are never taken for numbers."""

OTHERS = frozenset({"id", "asset_id", "video_id", "episode_id", "ep_id"})
"""Columns of no payload."""


def import_legacy(
    connection: psycopg.Connection, asset_id: AssetId, source: str, artifact_type: str | None
) -> tuple[LegacyReceipt, ...]:
    """Take in a file, a folder of files named after what they hold, or `table:schema.name`.

    Each takes the place of what was imported for the asset and the type before; all, or nothing.
    Raises NotFound where there is nothing, and Invalid naming the row that is none.
    """
    store = LegacyArtifacts(connection)
    receipts = []
    _check_type(artifact_type)
    with connection.transaction():
        for kind, name, rows in _sources(store, asset_id, source, artifact_type):
            timed = _in_order(rows, name)
            if not timed:
                raise _bad(name, 1, "at least one row", "none")
            count = store.take_in(asset_id, kind, timed, storable_text(name))
            receipts.append(
                LegacyReceipt(asset_id=asset_id, artifact_type=kind, source=name, artifacts=count)
            )
    return tuple(receipts)


def _sources(
    store: LegacyArtifacts, asset_id: AssetId, source: str, artifact_type: str | None
) -> Iterator[tuple[str, str, Iterable[Mapping[str, Any]]]]:
    if source.startswith(TABLE):
        table = source.removeprefix(TABLE)
        kind = artifact_type or _type_of(table.rpartition(".")[2])
        yield kind, source, store.rows_of_table(table, asset_id)
        return
    path = Path(source)
    if not source:
        raise UsageError("no source was named", expected="a file, a folder or table:schema.name")
    if path.is_file():
        yield artifact_type or _type_of(path.stem), path.name, _rows_of_file(path)
        return
    if not path.is_dir():
        raise NotFound(f"no file or folder {source}", expected="JSONL, CSV, or a folder of them")
    known = [
        each
        for each in sorted(path.iterdir())
        if each.suffix in {".jsonl", ".csv"} and TYPES.get(each.stem)
    ]
    if not known:
        raise NotFound(
            f"nothing in {source} is known",
            expected=f"files such as {', '.join(f'{name}.jsonl' for name in TYPES)}",
            got=", ".join(sorted(each.name for each in path.iterdir())[:10]) or "an empty folder",
            hint="Import a file by its path, with --type",
        )
    by_type: dict[str, Path] = {}
    for each in known:
        other = by_type.setdefault(TYPES[each.stem], each)
        if other != each:
            raise Invalid(
                f"two files in {source} hold {TYPES[each.stem]}",
                expected="one file for each type",
                got=f"{other.name} and {each.name}",
                hint="Nothing was imported; import the one that is meant by its path",
            )
    for kind, each in by_type.items():
        yield kind, each.name, _rows_of_file(each)


def _check_type(name: str | None) -> None:
    if name is not None and not re.fullmatch(TYPE_NAME, name):
        raise UsageError(
            "this is no artifact type", expected="a name such as ocr.text", got=repr(name)
        )


def _type_of(name: str) -> str:
    if name not in TYPES:
        raise UsageError(
            f"what {name!r} holds does not follow from its name",
            expected=f"--type, or a name such as {', '.join(TYPES)}",
            got=repr(name),
        )
    return TYPES[name]


def _rows_of_file(path: Path) -> Iterator[Mapping[str, Any]]:
    """Row by row; Invalid naming the first that cannot be read."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = _cells(file) if path.suffix == ".csv" else _objects(file)
            for number, row in enumerate(lines, 1):
                if not isinstance(row, dict):
                    raise _bad(path.name, number, "a JSON object", repr(row)[:80])
                yield row
    except (ValueError, RecursionError, csv.Error) as error:
        expected = "columns as its first row names them" if path.suffix == ".csv" else "JSON"
        raise _bad(path.name, number + 1, f"{expected}, in UTF-8", str(error)[:200]) from error


def _objects(file: Iterable[str]) -> Iterator[Any]:
    return (json.loads(line) for line in file if line.strip())


def _cells(file: Iterable[str]) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(file):
        if None in row:
            raise ValueError("more cells than columns")
        yield {name: _value(name, text) for name, text in row.items() if text}


def _value(column: str, text: str) -> Any:
    """A cell: a number, an object or a list where it is one and no column of words, else the
    text as it stands."""
    try:
        value = text if column in WORDS else json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_plain = isinstance(value, int | float | dict | list) and not isinstance(value, bool)
    is_odd = isinstance(value, float) and not math.isfinite(value)
    return value if is_plain and not is_odd else text


def _in_order(rows: Iterable[Mapping[str, Any]], name: str) -> list[LegacyRow]:
    timed = [_timed(row, name, number) for number, row in enumerate(rows, 1)]
    return sorted(timed, key=lambda each: (each[0], each[1], json.dumps(each[2], sort_keys=True)))


def _timed(row: Mapping[str, Any], name: str, number: int) -> LegacyRow:
    start = _moment(row, STARTS, name, number)
    if start is None:
        raise _bad(name, number, f"one of {', '.join(STARTS)}", ", ".join(row) or "nothing")
    end = _moment(row, ENDS, name, number)
    end = start if end is None else end
    if not 0 <= start <= end <= MAX_MS:
        raise _bad(name, number, "a span that starts before it ends", f"{start} to {end} ms")
    told = row.get("payload")
    clock = {*STARTS, *ENDS, *OTHERS}
    payload = told if isinstance(told, dict) else {k: v for k, v in row.items() if k not in clock}
    try:
        text = canonical_json(payload)  # refuses NaN, and halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        raise _bad(name, number, "what JSON can hold", str(error)) from error
    if NUL.search(text):
        raise _bad(name, number, "text that a database can hold", "a NUL in it")
    if not _is_shallow(payload, DEEPEST):
        raise _bad(name, number, f"values at most {DEEPEST} deep", "deeper ones")
    return start, end, payload


NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""In JSON text: an escape that is not itself escaped."""

DEEPEST = 50


def _is_shallow(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner)


def _moment(
    row: Mapping[str, Any], columns: Mapping[str, int], name: str, number: int
) -> int | None:
    """The time in the first such column that there is."""
    for column, unit in columns.items():
        if row.get(column) is not None:
            try:
                return milliseconds(_number(row[column]) / unit)
            except (ValueError, InvalidOperation) as error:
                raise _bad(name, number, f"a number in {column}", repr(row[column])) from error
    return None


def _number(value: Any) -> Fraction:
    """Exactly, and of a size that a time may have; ValueError for all else."""
    number = Decimal(str(value))
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > DIGITS or not abs(number) <= MAX_MS:
        raise ValueError(f"no time is {value!r}")
    return Fraction(number)


DIGITS = 30


def _bad(name: str, number: int, expected: str, got: str) -> Invalid:
    return Invalid(
        f"row {number} of {name} cannot be taken in",
        expected=expected,
        got=got,
        hint="Nothing was imported",
    )
