"""The manifest stage: every `.pt` file judged, a row each, again and again."""

import json
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
from filmgate.core.gameplay import FAILED, MENU_FLAG_THRESHOLD, PT, Failure, GameItem, Task
from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench, Mapped
from filmgate.pipelines.gameplay.checking import V2, Check, chosen
from filmgate.pipelines.gameplay.extracted import Extracted
from filmgate.pipelines.gameplay.extraction import extraction, failed, listed
from filmgate.pipelines.gameplay.files import ITEMS, ORIGINAL, OURS, QUALITY
from filmgate.pipelines.gameplay.rules.tasks import check_key, tasks
from filmgate.pipelines.gameplay.session import Session
from filmgate.tools.build import commit_hash
from filmgate.tools.fetched import FetchedCopies
from filmgate.tools.limits import bounded
from filmgate.tools.pieces import Pieces, open_pieces
from filmgate.tools.torch_files.reading import ALTERED, UNREADABLE, PtFile, altered

if TYPE_CHECKING:
    import pyarrow as pa

    from filmgate.pipelines.gameplay.rules.menus import Frames

VERSION = 1
"""Of the table; raised whenever its columns or their meaning change."""

ROWS_AT_ONCE = 1000
OCR_SIDE = 960
"""Pixels of the longer side at which text is looked for."""

NOT_EXTRACTED = "not_extracted"
EXTRACT_FIRST = "Extract first: filmgate run gameplay --stage extraction --task-list …"

Row = dict[str, Any]


class ManifestSettings(Settings):
    """What is judged, by which checks, and where the table goes."""

    manifest_bucket: str = "game-data-manifest"
    """Of the `.pt` files: `s3://bucket/prefix`, or a folder."""
    prefix: str = ""
    """Only those whose keys begin so."""
    output_path: str | None = None
    """Where the table is put besides the run's folder: `s3://…/name.parquet`, or a file."""
    checks: str = V2
    """`v1`, `v2`, or names of v2 by comma."""
    menu_flag_threshold: Annotated[float, Field(ge=0, le=1)] = MENU_FLAG_THRESHOLD
    ocr: bool = False
    """Read text on the screen too; needs the packages of filmgate[episode]."""
    cache_dir: str | None = None
    """Where `.pt` files that lie elsewhere are kept for the next time."""
    cache_gb: Annotated[float, Field(gt=0, le=100_000)] = 20.0
    time_limit_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    memory_limit_mb: Annotated[int, Field(ge=256, le=1_000_000)] = 4096


class Judged(NamedTuple):
    """What came of an item."""

    rows: tuple[Row, ...]
    bytes_read: int = 0
    requests: int = 0
    copies_found: int = 0


@stage(
    uses=[extraction.name],
    makes=[QUALITY],
    settings=ManifestSettings,
    tools=["numpy", "opencv-python-headless", "pyarrow"],
    optional_tools=["rapidocr", "onnxruntime"],
    version=VERSION,
)
def manifest(bench: Bench, settings: ManifestSettings) -> Outcome:
    """Judge every `.pt` file; one that cannot be read is a row with its error."""
    checks = chosen(settings.checks)
    _check_extracted(bench, settings)
    todo = list(_todo(bench, settings))
    work = partial(judge, open_store=bench.open_store, settings=settings)
    tally = _Tally(bench, settings)
    rows = tally.rows(bench.map(work, todo, name=_key, may_all_fail=True))
    with NamedTemporaryFile(suffix=".parquet") as draft:
        _write(Path(draft.name), rows, checks)
        with bench.create(QUALITY) as file:
            shutil.copyfileobj(draft, file)
        if settings.output_path is not None:
            _put(Path(draft.name), settings.output_path, bench.open_store)
    return Done(
        producer=Producer(name="filmgate-quality", version=_versions(checks)),
        counts=tally.counts(),
        metrics=tally.metrics(),
    )


def _check_extracted(bench: Bench, settings: ManifestSettings) -> None:
    """Raise NotFound, saying to extract first, where there are no `.pt` files at all."""
    if bench.has(ITEMS):
        return
    try:
        store = bench.open_store(settings.manifest_bucket)
        below = settings.prefix.rpartition("/")[0]
        if any(each.key.endswith(PT) for page in store.pages(below) for each in page):
            return
        got = "none"
    except NotFound as error:
        got = error.message
    raise NotFound(
        f"there are no .pt files in {settings.manifest_bucket}",
        expected="sessions that were extracted",
        got=got,
        hint=EXTRACT_FIRST,
    )


def _todo(bench: Bench, settings: ManifestSettings) -> Iterator[GameItem]:
    """What is to be judged, in order: what was extracted in this run, with its digests; else what
    the task list names."""
    if bench.has(ITEMS):
        items: Iterator[GameItem] = bench.read_records(ITEMS, GameItem)
    else:
        items = (
            GameItem(s3_key=task.key, status="extracted") for task in tasks(listed(bench.source))
        )
    for item in items:
        if (item.pt_key or item.s3_key).startswith(settings.prefix):
            yield item


def _named(key: str, store: ObjectStore) -> list[GameItem]:
    """The `.pt` files of a line of a task list, whose digests are in their seals alone."""
    task = Task(key=key)
    check_key(task)
    if not task.is_archive:
        return [GameItem(s3_key=key, status="extracted", pt_key=key)]
    if store.entry(task.stem + PT) is not None:
        return [GameItem(s3_key=key, status="extracted", pt_key=task.stem + PT)]
    below = (each.key for page in store.pages(task.stem) for each in page)
    found = [each for each in below if each.endswith(PT)]
    if not found:
        return [_why_not(task, store)]
    return [GameItem(s3_key=key, status="extracted", pt_key=each) for each in found]


def _why_not(task: Task, store: ObjectStore) -> GameItem:
    """The record that a failed extraction left."""
    try:
        with store.open(task.stem + FAILED) as file:
            return GameItem.model_validate_json(file.read(MAX_RECORD_BYTES))
    except (NotFound, ValueError) as error:
        raise _not_extracted(f"{task.stem}{PT}", store) from error


MAX_RECORD_BYTES = 1 << 20


def _not_extracted(key: str, store: ObjectStore) -> NotFound:
    return NotFound(
        "it is not extracted",
        expected=f"{key} in {store.url}",
        got="none",
        hint=EXTRACT_FIRST,
        reason=NOT_EXTRACTED,
    )


def _key(item: GameItem) -> str:
    return item.pt_key or item.s3_key


class _Tally:
    """What came of all items."""

    def __init__(self, bench: Bench, settings: ManifestSettings) -> None:
        self._bench = bench
        self._began = time.monotonic()
        self._settings = settings
        self._rows = self._errors = 0
        self._flags: Counter[str] = Counter()
        self._failures: dict[str, dict[str, Any]] = {}
        self._bytes = self._requests = self._copies = 0

    def rows(self, outcomes: Iterator[Mapped[GameItem, Judged]]) -> Iterator[Row]:
        """The rows of all items, counted on their way."""
        for each in outcomes:
            if each.value is None:
                assert each.error is not None
                told = failed(each.item.s3_key, each.error, each.item.video_id)
                judged = Judged((_error_row(told, self._settings),))
            else:
                judged = each.value
            self._bytes += judged.bytes_read
            self._requests += judged.requests
            self._copies += judged.copies_found
            for row in judged.rows:
                self._count(row)
                yield row
            failures = {code: told["count"] for code, told in self._failures.items()}
            self._bench.measure(self._rates(), failures)

    def _count(self, row: Row) -> None:
        self._rows += 1
        self._flags.update(name for name, value in row.items() if value is True)
        if row["error"] is not None:
            self._errors += 1
            code = row["error_code"]
            told = {"count": 0, "example": row["s3_key"], "message": row["error"]}
            self._failures.setdefault(code, told)["count"] += 1

    def counts(self) -> dict[str, int]:
        """How many of what."""
        return {"rows": self._rows, "with_error": self._errors}

    def metrics(self) -> dict[str, Any]:
        """Rates, what was flagged, and failures by kind."""
        return {
            "flagged": dict(sorted(self._flags.items())),
            "failures": dict(sorted(self._failures.items())),
            **self._rates(),
        }

    def _rates(self) -> dict[str, float]:
        """What is measured: sums so far, and rates since the stage began."""
        wall_s = time.monotonic() - self._began
        return {
            "bytes_read": self._bytes,
            "store_requests": self._requests,
            "copies_found": self._copies,
            "rows_per_s": round(self._rows / wall_s, 3) if wall_s else 0.0,
        }


def judge(item: GameItem, *, open_store: OpenStore, settings: ManifestSettings) -> Judged:
    """Judge one `.pt` file, wherever this runs; FilmgateError, with a `reason`, where it cannot
    be read."""
    if item.error is not None:
        return Judged((_error_row(item, settings),))
    with bounded(seconds=settings.time_limit_s, memory_bytes=settings.memory_limit_mb << 20):
        store = open_store(settings.manifest_bucket)
        found = [item] if item.pt_key else _named(item.s3_key, store)
        if len(found) == 1:
            return _with_copies(found[0], store, settings)
        return _together([_apart(each, store, settings) for each in found])


def _apart(item: GameItem, store: ObjectStore, settings: ManifestSettings) -> Judged:
    """One of several files of an archive: that it cannot be read is its own row's error."""
    try:
        return _with_copies(item, store, settings)
    except Unavailable:
        raise
    except FilmgateError as error:
        return Judged((_error_row(failed(item.s3_key, error), settings),))


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
        return Judged((_error_row(item, settings),))
    if settings.cache_dir is None:
        return _judged(item, store, settings, None)
    copies = FetchedCopies(Path(settings.cache_dir), most_bytes=round(settings.cache_gb * 1e9))
    try:
        return _judged(item, store, settings, copies)
    except Invalid as error:
        if error.extra.get("reason") not in {ALTERED, UNREADABLE}:
            raise
        copies.drop(store, _key(item))
        return _judged(item, store, settings, copies)


def _judged(
    item: GameItem, store: ObjectStore, settings: ManifestSettings, copies: FetchedCopies | None
) -> Judged:
    key = _key(item)
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
    row["check_versions"] = _versions(checks)
    for each in checks:
        try:
            result = each.run(session)
        except FilmgateError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a check raises is the check's own
            row["error"] = f"check {each.name}: {type(error).__name__}: {error}"[:500]
            row["error_code"] = "check_failed"
            row["error_traceback"] = traceback.format_exc(limit=-8)
        else:
            told = {name: getattr(result, name) for name in each.fields}
            row[each.name] = told.pop("value")
            row[evidence(each)] = told or None
    return row


def _lines_in(frame: "Frames") -> int:
    """How many lines of text are in a picture."""
    import numpy as np  # heavy

    image = np.ascontiguousarray(frame.transpose(1, 2, 0)[:, :, ::-1])
    return len(_reader().read(image))


@cache
def _reader() -> Any:
    from filmgate.tools.text_models import RapidReader  # heavy, and only where asked for

    return RapidReader(longest=OCR_SIDE)


def _error_row(item: GameItem, settings: ManifestSettings) -> Row:
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
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _versions(checks: Sequence[Check]) -> str:
    return _json({each.name: each.version for each in checks})


def evidence(check: Check) -> str:
    """The column of a check's evidence."""
    return f"{check.name}_evidence"


def schema_of(checks: Sequence[Check]) -> "pa.Schema":
    """The table's columns: the public pipeline's; and of ours, unless the checks are v1, what
    each check says, on what evidence, and of which file."""
    import pyarrow as pa  # heavy

    columns = [(name, _type(kind)) for name, kind in ORIGINAL.items()]
    if any(each.edition == V2 for each in checks):
        columns += [(name, _type(kind)) for name, kind in OURS.items()]
        for each in checks:
            fields = [(name, _type(kind)) for name, kind in each.fields.items() if name != "value"]
            if each.name not in ORIGINAL:
                columns.append((each.name, _type(each.fields["value"])))
            if fields:
                columns.append((evidence(each), pa.struct(fields)))
    return pa.schema(columns)


def _type(kind: str) -> Any:
    import pyarrow as pa  # heavy

    if kind.startswith("list<item: "):
        return pa.list_(_type(kind.removeprefix("list<item: ").removesuffix(">")))
    return {
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
    }[kind]


def _write(path: Path, rows: Iterator[Row], checks: Sequence[Check]) -> None:
    """Write the table, a thousand rows at a time."""
    import pyarrow as pa  # heavy
    import pyarrow.parquet as pq

    schema = schema_of(checks)
    with pq.ParquetWriter(path, schema) as writer:
        kept: list[Row] = []
        for row in rows:
            kept.append({name: row.get(name) for name in schema.names})
            if len(kept) == ROWS_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(kept, schema=schema))
                kept = []
        writer.write_table(pa.Table.from_pylist(kept, schema=schema))


def _put(path: Path, output: str, open_store: OpenStore) -> None:
    """Put the table where it was asked for, whole or not at all."""
    folder, _, name = output.rpartition("/")
    open_store(folder or ".", make=True).replace(name, path)
