"""Rows of the quality manifest: the function that workers execute to check one item."""

import json
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.pipelines.gameplay.archive_worker import make_failed_item
from filmgate.pipelines.gameplay.check_registry import Check, select_checks
from filmgate.pipelines.gameplay.contracts import (
    ERROR_SUFFIX,
    PT_SUFFIX,
    ExtractionTask,
    Failure,
    GameItem,
)
from filmgate.pipelines.gameplay.extracted import ExtractedFile
from filmgate.pipelines.gameplay.files import ADDED_COLUMNS, ORIGINAL_COLUMNS
from filmgate.pipelines.gameplay.rules.tasks import check_key
from filmgate.pipelines.gameplay.session import GameSession
from filmgate.pipelines.gameplay.settings import ManifestSettings
from filmgate.tools.build import commit_hash
from filmgate.tools.byte_ranges import ByteRanges, open_byte_ranges
from filmgate.tools.object_cache import ObjectCache
from filmgate.tools.resource_limits import limit_resources
from filmgate.tools.torch_files.reading import PtAltered, PtFile, PtUnreadable, altered_error

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

    import pyarrow as pa

    from filmgate.pipelines.gameplay.rules.menus import Frames
    from filmgate.tools.text_models import RapidReader

OCR_SIDE = 960
"""Longer side of the images in which text is read, in pixels."""
MAX_RECORD_BYTES = 1 << 20

NOT_EXTRACTED = "not_extracted"
EXTRACT_FIRST = "Extract the archives first: filmgate run gameplay --stage extraction --task-list …"

Row = dict[str, object]


class ItemRows(NamedTuple):
    """The rows of an item, and what they cost."""

    rows: tuple[Row, ...]
    bytes_read: int = 0
    requests: int = 0
    """Number of requests to the object store."""
    copies_found: int = 0
    """Number of `.pt` files that were read from the cache."""


def build_rows(item: GameItem, *, open_store: OpenStore, settings: ManifestSettings) -> ItemRows:
    """Run the checks on an item and build its rows; can run in any process.

    Raises FilmgateError, with a `reason`, if the `.pt` file cannot be read.
    """
    if item.error is not None:
        return ItemRows((make_error_row(item, settings),))
    memory_bytes = settings.memory_limit_mb << 20
    with limit_resources(seconds=settings.time_limit_s, memory_bytes=memory_bytes):
        store = open_store(settings.manifest_bucket)
        found = [item] if item.pt_key else _find_items(item.s3_key, store)
        found = [one for one in found if resolve_pt_key(one).startswith(settings.prefix)]
        if len(found) == 1:
            return _build_with_cache(found[0], store, settings)
        return _merge_rows([_build_or_fail(one, store, settings) for one in found])


def resolve_pt_key(item: GameItem) -> str:
    """Return the key of an item's `.pt` file, whether the file exists or not."""
    return item.pt_key or ExtractionTask(key=item.s3_key).stem + PT_SUFFIX


def _build_or_fail(item: GameItem, store: ObjectStore, settings: ManifestSettings) -> ItemRows:
    """Build the rows of one file of several; a file that cannot be read gets an error row."""
    try:
        return _build_with_cache(item, store, settings)
    except Unavailable:
        raise
    except FilmgateError as error:
        return ItemRows((make_error_row(make_failed_item(item.s3_key, error), settings),))


def _merge_rows(parts: Sequence[ItemRows]) -> ItemRows:
    return ItemRows(
        rows=tuple(row for part in parts for row in part.rows),
        bytes_read=sum(part.bytes_read for part in parts),
        requests=sum(part.requests for part in parts),
        copies_found=sum(part.copies_found for part in parts),
    )


def _build_with_cache(item: GameItem, store: ObjectStore, settings: ManifestSettings) -> ItemRows:
    """Build the rows of a file, through the cache if there is one.

    A cached file that is damaged is dropped and fetched once more.
    """
    if item.error is not None:
        return ItemRows((make_error_row(item, settings),))
    if settings.cache_dir is None:
        return _build_item(item, store, settings, None)
    cache = ObjectCache(Path(settings.cache_dir), most_bytes=round(settings.cache_gb * 1e9))
    try:
        return _build_item(item, store, settings, cache)
    except (PtAltered, PtUnreadable):
        cache.drop(store, resolve_pt_key(item))
        return _build_item(item, store, settings, cache)


def _build_item(
    item: GameItem, store: ObjectStore, settings: ManifestSettings, cache: ObjectCache | None
) -> ItemRows:
    key = resolve_pt_key(item)
    try:
        ranges, is_cached = (
            cache.open(store, key) if cache else (open_byte_ranges(store, key), False)
        )
    except NotFound as error:
        raise _not_extracted(key, store) from error
    counted = _CountingByteRanges(ranges)
    try:
        extracted = ExtractedFile(PtFile(counted))
        if item.pt_digest is not None and item.pt_digest != extracted.digest:
            raise altered_error(key)
        row = _build_row(extracted, settings)
    finally:
        ranges.close()
    return ItemRows((row,), counted.bytes_read, ranges.request_count, int(is_cached))


class _CountingByteRanges:
    """Byte ranges that count how many bytes are read."""

    def __init__(self, ranges: ByteRanges) -> None:
        self._ranges = ranges
        self.size = ranges.size
        self.bytes_read = 0

    @property
    def request_count(self) -> int:
        """Number of requests so far."""
        return self._ranges.request_count

    def read(self, start: int, size: int) -> "Buffer":
        """Read exactly these bytes."""
        self.bytes_read += size
        return self._ranges.read(start, size)

    def close(self) -> None:
        """Close the byte ranges."""
        self._ranges.close()


def _build_row(extracted: ExtractedFile, settings: ManifestSettings) -> Row:
    """Build the row of a session.

    If a check raises an exception, its columns stay empty, and the row contains the error.
    """
    session = GameSession(
        extracted,
        menu_flag_threshold=settings.menu_flag_threshold,
        read_lines=_count_lines if settings.ocr else None,
    )
    row: Row = _empty_row() | {
        "s3_key": extracted.s3_key,
        "video_id": extracted.video_id,
        "video_metadata": _json(extracted.video_metadata),
        "session_metadata": _json(extracted.session_metadata),
        "menu_flag_threshold": settings.menu_flag_threshold,
        "remarks": list(extracted.remarks),
        "pt_digest": extracted.digest,
    }
    checks = select_checks(settings.checks)
    row["check_versions"] = format_versions(checks)
    for check in checks:
        try:
            result = _read_fields(check, check.run(session))
        except FilmgateError:
            raise
        except Exception as error:  # noqa: BLE001 - any exception is a fault of the check
            row["error"] = f"check {check.name}: {type(error).__name__}: {error}"[:500]
            row["error_code"] = "check_failed"
            row["error_traceback"] = traceback.format_exc(limit=-8)
        else:
            row[check.name] = result.pop("value")
            row[evidence_column(check)] = result or None
    return row


def _read_fields(check: Check, result: object) -> Row:
    """Read the fields of a result.

    Raises TypeError if a value does not fit its column, as it would break the whole table.
    """
    import pyarrow as pa  # slow to import

    values = {name: getattr(result, name) for name in check.fields}
    for name, kind in check.fields.items():
        try:
            pa.scalar(values[name], arrow_type(kind))
        except (pa.ArrowException, OverflowError) as error:
            raise TypeError(f"{name} is {values[name]!r:.80}, expected {kind}") from error
    return values


def arrow_type(kind: str) -> "pa.DataType":
    """Return the Arrow type of a column."""
    import pyarrow as pa  # slow to import

    if kind.startswith("list<item: "):
        return pa.list_(arrow_type(kind.removeprefix("list<item: ").removesuffix(">")))
    return {
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
    }[kind]


def _count_lines(frame: "Frames") -> int:
    """Count the lines of text in a frame."""
    import numpy as np  # slow to import

    image = np.ascontiguousarray(frame.transpose(1, 2, 0)[:, :, ::-1])
    return len(_text_reader().read(image))


@cache
def _text_reader() -> "RapidReader":
    from filmgate.tools.text_models import RapidReader  # slow to import, and rarely used

    return RapidReader(longest=OCR_SIDE)


def make_error_row(item: GameItem, settings: ManifestSettings) -> Row:
    """Make the row of an item that failed."""
    error = item.error or Failure(code="unexpected", message="unexpected")
    return _empty_row() | {
        "s3_key": item.s3_key,
        "video_id": item.video_id,
        "error": error.message,
        "error_code": error.code,
        "error_traceback": error.traceback,
        "menu_flag_threshold": settings.menu_flag_threshold,
    }


def _empty_row() -> Row:
    columns = dict.fromkeys([*ORIGINAL_COLUMNS, *ADDED_COLUMNS])
    return columns | {"processed_time": datetime.now(UTC), "commit_hash": commit_hash()}


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def format_versions(checks: Sequence[Check]) -> str:
    """Format the version of each check as JSON."""
    return _json({check.name: check.version for check in checks})


def evidence_column(check: Check) -> str:
    """Return the name of the column with a check's evidence."""
    return f"{check.name}_evidence"


def _find_items(key: str, store: ObjectStore) -> list[GameItem]:
    """Find the `.pt` files of a key in a task list.

    A task list contains no digests, so that each file can only be verified against its own seal.
    """
    task = ExtractionTask(key=key)
    check_key(task)
    if not task.is_archive:
        return [GameItem(s3_key=key, status="extracted", pt_key=key)]
    if (record := _read_failure_record(task.stem, store)) is not None:
        return [record.model_copy(update={"s3_key": key})]
    if store.entry(task.stem + PT_SUFFIX) is not None:
        return [GameItem(s3_key=key, status="extracted", pt_key=task.stem + PT_SUFFIX)]
    keys = sorted(entry.key for page in store.pages(task.stem) for entry in page)
    found = [item for item in (_find_item(task, name, store) for name in keys) if item]
    if not found:
        raise _not_extracted(f"{task.stem}{PT_SUFFIX}", store)
    return found


def _find_item(task: ExtractionTask, name: str, store: ObjectStore) -> GameItem | None:
    """Return the item of a file below an archive's key, or None if it is not of that archive."""
    if name.endswith(ERROR_SUFFIX):
        record = _read_failure_record(name.removesuffix(ERROR_SUFFIX), store)
        return record if record is not None and record.s3_key == task.key else None
    if not name.endswith(PT_SUFFIX):
        return None
    ranges = open_byte_ranges(store, name)
    try:
        is_same_archive = ExtractedFile(PtFile(ranges)).s3_key == task.key
    except Invalid:
        is_same_archive = True  # its row will contain the error
    finally:
        ranges.close()
    return GameItem(s3_key=task.key, status="extracted", pt_key=name) if is_same_archive else None


def _read_failure_record(stem: str, store: ObjectStore) -> GameItem | None:
    """Read the record of a failed extraction, or None."""
    try:
        with store.open(stem + ERROR_SUFFIX) as file:
            return GameItem.model_validate_json(file.read(MAX_RECORD_BYTES))
    except (NotFound, ValueError):
        return None


def _not_extracted(key: str, store: ObjectStore) -> NotFound:
    return NotFound(
        "the archive is not extracted",
        expected=f"{key} in {store.url}",
        got="no such file",
        hint=EXTRACT_FIRST,
        reason=NOT_EXTRACTED,
    )
