"""The manifest stage: checks every `.pt` file and writes the quality manifest, one row per file."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from filmgate.core.digest import JsonObject
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.objects import OpenStore
from filmgate.core.plan import Done, Outcome, Producer, stage
from filmgate.core.ports import Mapped, StageContext
from filmgate.pipelines.gameplay.archive_worker import make_failed_item
from filmgate.pipelines.gameplay.check_registry import V2, Check, select_checks
from filmgate.pipelines.gameplay.contracts import PT_SUFFIX, GameItem
from filmgate.pipelines.gameplay.extraction_stage import extraction, read_task_list
from filmgate.pipelines.gameplay.failure_counts import FailureCounts
from filmgate.pipelines.gameplay.files import ADDED_COLUMNS, ITEMS, ORIGINAL_COLUMNS, QUALITY
from filmgate.pipelines.gameplay.row_builder import (
    EXTRACT_FIRST,
    ItemRows,
    Row,
    arrow_type,
    build_rows,
    evidence_column,
    format_versions,
    make_error_row,
    resolve_pt_key,
)
from filmgate.pipelines.gameplay.rules.tasks import parse_tasks
from filmgate.pipelines.gameplay.settings import ManifestSettings

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
"""Version of the table; increased whenever its columns or their meaning change."""

BATCH_ROWS = 1000
"""Number of rows that are written at once."""


@stage(
    uses=[extraction.name],
    makes=[QUALITY],
    settings=ManifestSettings,
    tools=["numpy", "opencv-python-headless", "pyarrow"],
    optional_tools=["rapidocr", "onnxruntime"],
    version=VERSION,
)
def manifest(context: StageContext, settings: ManifestSettings) -> Outcome:
    """Check every `.pt` file; a file that cannot be read gets a row with its error."""
    checks = select_checks(settings.checks)
    _require_extracted(context, settings)
    output = (
        _open_output(context.open_store, settings.output_path) if settings.output_path else None
    )
    items = list(_read_items(context, settings))
    work = partial(build_rows, open_store=context.open_store, settings=settings)
    row_counts = _RowCounts(context, settings)
    rows = row_counts.rows(context.map(work, items, name=resolve_pt_key, may_all_fail=True))
    with NamedTemporaryFile(suffix=".parquet") as draft:
        _write(Path(draft.name), rows, checks)
        with context.create(QUALITY) as file:
            shutil.copyfileobj(draft, file)
        if output is not None:
            output(Path(draft.name))
    return Done(
        producer=Producer(name="filmgate-quality", version=format_versions(checks)),
        counts=row_counts.counts(),
        metrics=row_counts.metrics(),
    )


def _require_extracted(context: StageContext, settings: ManifestSettings) -> None:
    """Raise NotFound, with the hint to extract first, if no `.pt` files exist."""
    if context.has(ITEMS):
        return
    try:
        store = context.open_store(settings.manifest_bucket)
        folder = settings.prefix.rpartition("/")[0]
        if any(entry.key.endswith(PT_SUFFIX) for page in store.pages(folder) for entry in page):
            return
        got = "none"
    except NotFound as error:
        got = error.message
    raise NotFound(
        f"{settings.manifest_bucket} contains no .pt files",
        expected="extracted sessions",
        got=got,
        hint=EXTRACT_FIRST,
    )


def _read_items(context: StageContext, settings: ManifestSettings) -> Iterator[GameItem]:
    """Read the items to check, ordered by key.

    These are the items that were extracted in this run, with their digests, or else the items of
    the task list. Extracted items outside the prefix are left out here. The keys of the items
    of a task list are not known yet; they are compared with the prefix later.
    """
    if not context.has(ITEMS):
        for task in parse_tasks(read_task_list(context.source)):
            yield GameItem(s3_key=task.key, status="extracted")
        return
    for item in context.read_records(ITEMS, GameItem):
        if resolve_pt_key(item).startswith(settings.prefix):
            yield item


class _RowCounts:
    """Counts of the rows of all items."""

    def __init__(self, context: StageContext, settings: ManifestSettings) -> None:
        self._context = context
        self._started_s = time.monotonic()
        self._settings = settings
        self._rows = self._errors = 0
        self._flags: Counter[str] = Counter()
        self._failures = FailureCounts()
        self._bytes = self._requests = self._copies = 0

    def rows(self, outcomes: Iterator[Mapped[GameItem, ItemRows]]) -> Iterator[Row]:
        """Yield the rows of all items, and count them."""
        for outcome in outcomes:
            if outcome.value is None:
                assert outcome.error is not None
                failed = make_failed_item(outcome.item.s3_key, outcome.error, outcome.item.video_id)
                built = ItemRows((make_error_row(failed, self._settings),))
            else:
                built = outcome.value
            self._bytes += built.bytes_read
            self._requests += built.requests
            self._copies += built.copies_found
            for row in built.rows:
                self._count(row)
                yield row
            self._context.measure(self._rates(), self._failures.counts)

    def _count(self, row: Row) -> None:
        self._rows += 1
        self._flags.update(name for name, value in row.items() if value is True)
        if row["error"] is not None:
            self._errors += 1
            self._failures.add(str(row["error_code"]), str(row["s3_key"]), str(row["error"]))

    def counts(self) -> dict[str, int]:
        """Return the counts of the stage."""
        return {"rows": self._rows, "with_error": self._errors}

    def metrics(self) -> JsonObject:
        """Return rates, the number of flagged sessions by check, and failures by error code."""
        return {
            "flagged": dict(sorted(self._flags.items())),
            "failures": self._failures.by_code,
            **self._rates(),
        }

    def _rates(self) -> dict[str, float]:
        """Return the sums so far, and rates since the stage started."""
        wall_s = time.monotonic() - self._started_s
        return {
            "bytes_read": self._bytes,
            "store_requests": self._requests,
            "copies_found": self._copies,
            "rows_per_s": round(self._rows / wall_s, 3) if wall_s else 0.0,
        }


def table_schema(checks: Sequence[Check]) -> "pa.Schema":
    """Build the schema of the table.

    First come the `ORIGINAL_COLUMNS`. Unless all checks are v1, Filmgate's further columns follow,
    then the value and the evidence of each check.
    """
    import pyarrow as pa  # slow to import

    columns = [(name, arrow_type(kind)) for name, kind in ORIGINAL_COLUMNS.items()]
    if any(check.edition == V2 for check in checks):
        columns += [(name, arrow_type(kind)) for name, kind in ADDED_COLUMNS.items()]
        for check in checks:
            fields = [
                (name, arrow_type(kind)) for name, kind in check.fields.items() if name != "value"
            ]
            if check.name not in ORIGINAL_COLUMNS:
                columns.append((check.name, arrow_type(check.fields["value"])))
            if fields:
                columns.append((evidence_column(check), pa.struct(fields)))
    return pa.schema(columns)


def _write(path: Path, rows: Iterator[Row], checks: Sequence[Check]) -> None:
    """Write the table in batches of rows."""
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    schema = table_schema(checks)
    with pq.ParquetWriter(path, schema) as writer:
        batch: list[Row] = []
        for row in rows:
            batch.append({name: row.get(name) for name in schema.names})
            if len(batch) == BATCH_ROWS:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def _open_output(open_store: OpenStore, place: str) -> Callable[[Path], None]:
    """Open the destination of `--output-path`; return a function that writes the table there.

    The function writes atomically. Errors of the destination are raised here, before any session is
    checked.
    """
    folder, slash, name = place.rpartition("/")
    if not name or Path(place).is_dir() or (folder.startswith("s3:/") and folder.count("/") < 2):  # noqa: PLR2004
        raise Invalid(
            "the path of the table is invalid",
            expected="a file, or s3://bucket/key.parquet",
            got=place,
            hint="Correct --output-path",
        )
    store = open_store(folder or slash, make=True)
    return partial(store.replace, name)
