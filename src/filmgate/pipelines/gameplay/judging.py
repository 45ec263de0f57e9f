"""Judging one `.pt` file."""

import json
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
from filmgate.core.gameplay import FAILED, PT, Failure, GameItem, Task
from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.pipelines.gameplay.checking import Check, chosen
from filmgate.pipelines.gameplay.extracted import Extracted
from filmgate.pipelines.gameplay.extracting import failed
from filmgate.pipelines.gameplay.files import ORIGINAL, OURS
from filmgate.pipelines.gameplay.rules.tasks import check_key
from filmgate.pipelines.gameplay.session import Session
from filmgate.pipelines.gameplay.settings import ManifestSettings
from filmgate.tools.build import commit_hash
from filmgate.tools.fetched import FetchedCopies
from filmgate.tools.limits import bounded
from filmgate.tools.pieces import Pieces, open_pieces
from filmgate.tools.torch_files.reading import ALTERED, UNREADABLE, PtFile, altered

if TYPE_CHECKING:
    from filmgate.pipelines.gameplay.rules.menus import Frames

OCR_SIDE = 960
"""Pixels of the longer side at which text is looked for."""
MAX_RECORD_BYTES = 1 << 20

NOT_EXTRACTED = "not_extracted"
EXTRACT_FIRST = "Extract first: filmgate run gameplay --stage extraction --task-list …"

Row = dict[str, Any]


class Judged(NamedTuple):
    """What came of an item."""

    rows: tuple[Row, ...]
    bytes_read: int = 0
    requests: int = 0
    copies_found: int = 0


def judge(item: GameItem, *, open_store: OpenStore, settings: ManifestSettings) -> Judged:
    """Judge one `.pt` file, wherever this runs; FilmgateError, with a `reason`, where it cannot
    be read."""
    if item.error is not None:
        return Judged((error_row(item, settings),))
    with bounded(seconds=settings.time_limit_s, memory_bytes=settings.memory_limit_mb << 20):
        store = open_store(settings.manifest_bucket)
        found = [item] if item.pt_key else _named(item.s3_key, store)
        found = [each for each in found if key_of(each).startswith(settings.prefix)]
        if len(found) == 1:
            return _with_copies(found[0], store, settings)
        return _together([_apart(each, store, settings) for each in found])


def key_of(item: GameItem) -> str:
    """The key of an item's `.pt` file, or where it would be."""
    return item.pt_key or Task(key=item.s3_key).stem + PT


def _apart(item: GameItem, store: ObjectStore, settings: ManifestSettings) -> Judged:
    """One of several files of an archive: that it cannot be read is its own row's error."""
    try:
        return _with_copies(item, store, settings)
    except Unavailable:
        raise
    except FilmgateError as error:
        return Judged((error_row(failed(item.s3_key, error), settings),))


def _together(judged: Sequence[Judged]) -> Judged:
    return Judged(
        rows=tuple(row for each in judged for row in each.rows),
        bytes_read=sum(each.bytes_read for each in judged),
        requests=sum(each.requests for each in judged),
        copies_found=sum(each.copies_found for each in judged),
    )


def _with_copies(item: GameItem, store: ObjectStore, settings: ManifestSettings) -> Judged:
    """Judge a file, from its copy on this machine where copies are kept. One that is not what it
    was is fetched once more."""
    if item.error is not None:
        return Judged((error_row(item, settings),))
    if settings.cache_dir is None:
        return _judged(item, store, settings, None)
    copies = FetchedCopies(Path(settings.cache_dir), most_bytes=round(settings.cache_gb * 1e9))
    try:
        return _judged(item, store, settings, copies)
    except Invalid as error:
        if error.extra.get("reason") not in {ALTERED, UNREADABLE}:
            raise
        copies.drop(store, key_of(item))
        return _judged(item, store, settings, copies)


def _judged(
    item: GameItem, store: ObjectStore, settings: ManifestSettings, copies: FetchedCopies | None
) -> Judged:
    key = key_of(item)
    try:
        pieces, is_copy = copies.open(store, key) if copies else (open_pieces(store, key), False)
    except NotFound as error:
        raise _not_extracted(key, store) from error
    counted = _Counted(pieces)
    try:
        extracted = Extracted(PtFile(counted))
        if item.pt_digest is not None and item.pt_digest != extracted.digest:
            raise altered(key)
        row = _row(extracted, settings)
    finally:
        pieces.close()
    return Judged((row,), counted.bytes_read, pieces.calls, int(is_copy))


class _Counted:
    """Pieces that know how much of them was read."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self.size = pieces.size
        self.bytes_read = 0

    @property
    def calls(self) -> int:
        """How many requests it took."""
        return self._pieces.calls

    def read(self, start: int, size: int) -> Any:
        """Exactly these bytes."""
        self.bytes_read += size
        return self._pieces.read(start, size)

    def close(self) -> None:
        """Let it go."""
        self._pieces.close()


def _row(extracted: Extracted, settings: ManifestSettings) -> Row:
    """The row of a session. A check that breaks leaves its columns empty, and says so."""
    session = Session(
        extracted,
        menu_flag_threshold=settings.menu_flag_threshold,
        read_lines=_lines_in if settings.ocr else None,
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
    checks = chosen(settings.checks)
    row["check_versions"] = versions_of(checks)
    for each in checks:
        try:
            result = _fitting(each, each.run(session))
        except FilmgateError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a check raises is the check's own
            row["error"] = f"check {each.name}: {type(error).__name__}: {error}"[:500]
            row["error_code"] = "check_failed"
            row["error_traceback"] = traceback.format_exc(limit=-8)
        else:
            row[each.name] = result.pop("value")
            row[evidence(each)] = result or None
    return row


def _fitting(check: Check, result: Any) -> Row:
    """The fields of a result; TypeError where one does not fit its column, which would spoil the
    table for all rows."""
    import pyarrow as pa  # heavy

    told = {name: getattr(result, name) for name in check.fields}
    for name, kind in check.fields.items():
        try:
            pa.scalar(told[name], arrow_type(kind))
        except (pa.ArrowException, OverflowError) as error:
            raise TypeError(f"{name} is {told[name]!r:.80}, no {kind}") from error
    return told


def arrow_type(kind: str) -> Any:
    """The Arrow type of a column."""
    import pyarrow as pa  # heavy

    if kind.startswith("list<item: "):
        return pa.list_(arrow_type(kind.removeprefix("list<item: ").removesuffix(">")))
    return {
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
    }[kind]


def _lines_in(frame: "Frames") -> int:
    """How many lines of text are in a picture."""
    import numpy as np  # heavy

    image = np.ascontiguousarray(frame.transpose(1, 2, 0)[:, :, ::-1])
    return len(_reader().read(image))


@cache
def _reader() -> Any:
    from filmgate.tools.text_models import RapidReader  # heavy, and only where asked for

    return RapidReader(longest=OCR_SIDE)


def error_row(item: GameItem, settings: ManifestSettings) -> Row:
    """The row of an item that came to nothing."""
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
    own = dict.fromkeys([*ORIGINAL, *OURS])
    return own | {"processed_time": datetime.now(UTC), "commit_hash": commit_hash()}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def versions_of(checks: Sequence[Check]) -> str:
    """The version of each check, as JSON."""
    return _json({each.name: each.version for each in checks})


def evidence(check: Check) -> str:
    """The column of a check's evidence."""
    return f"{check.name}_evidence"


def _named(key: str, store: ObjectStore) -> list[GameItem]:
    """The `.pt` files of a line of a task list, whose digests are in their seals alone."""
    task = Task(key=key)
    check_key(task)
    if not task.is_archive:
        return [GameItem(s3_key=key, status="extracted", pt_key=key)]
    if (record := _record(task.stem, store)) is not None:
        return [record.model_copy(update={"s3_key": key})]
    if store.entry(task.stem + PT) is not None:
        return [GameItem(s3_key=key, status="extracted", pt_key=task.stem + PT)]
    below = sorted(each.key for page in store.pages(task.stem) for each in page)
    found = [each for each in (_sample_of(task, name, store) for name in below) if each]
    if not found:
        raise _not_extracted(f"{task.stem}{PT}", store)
    return found


def _sample_of(task: Task, name: str, store: ObjectStore) -> GameItem | None:
    """What lies below an archive's name, where it is of that archive."""
    if name.endswith(FAILED):
        record = _record(name.removesuffix(FAILED), store)
        return record if record is not None and record.s3_key == task.key else None
    if not name.endswith(PT):
        return None
    pieces = open_pieces(store, name)
    try:
        is_its = Extracted(PtFile(pieces)).s3_key == task.key
    except Invalid:
        is_its = True  # its own row says what is wrong with it
    finally:
        pieces.close()
    return GameItem(s3_key=task.key, status="extracted", pt_key=name) if is_its else None


def _record(stem: str, store: ObjectStore) -> GameItem | None:
    """The record that a failed extraction left; None where there is none."""
    try:
        with store.open(stem + FAILED) as file:
            return GameItem.model_validate_json(file.read(MAX_RECORD_BYTES))
    except (NotFound, ValueError):
        return None


def _not_extracted(key: str, store: ObjectStore) -> NotFound:
    return NotFound(
        "it is not extracted",
        expected=f"{key} in {store.url}",
        got="none",
        hint=EXTRACT_FIRST,
        reason=NOT_EXTRACTED,
    )
