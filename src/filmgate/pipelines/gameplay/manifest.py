"""The manifest stage: every `.pt` file judged, a row each, again and again."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Invalid, NotFound
from filmgate.core.gameplay import PT, GameItem
from filmgate.core.objects import OpenStore
from filmgate.core.plan import Done, Outcome, Producer, stage
from filmgate.core.ports import Bench, Mapped
from filmgate.pipelines.gameplay.checking import V2, Check, chosen
from filmgate.pipelines.gameplay.extracting import failed
from filmgate.pipelines.gameplay.extraction import extraction, listed
from filmgate.pipelines.gameplay.files import ITEMS, ORIGINAL, OURS, QUALITY
from filmgate.pipelines.gameplay.judging import (
    EXTRACT_FIRST,
    Judged,
    Row,
    arrow_type,
    error_row,
    evidence,
    judge,
    key_of,
    versions_of,
)
from filmgate.pipelines.gameplay.rules.tasks import tasks
from filmgate.pipelines.gameplay.settings import ManifestSettings

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
"""Of the table; raised whenever its columns or their meaning change."""

ROWS_AT_ONCE = 1000


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
    output = _output(bench.open_store, settings.output_path) if settings.output_path else None
    todo = list(_todo(bench, settings))
    work = partial(judge, open_store=bench.open_store, settings=settings)
    tally = _Tally(bench, settings)
    rows = tally.rows(bench.map(work, todo, name=key_of, may_all_fail=True))
    with NamedTemporaryFile(suffix=".parquet") as draft:
        _write(Path(draft.name), rows, checks)
        with bench.create(QUALITY) as file:
            shutil.copyfileobj(draft, file)
        if output is not None:
            output(Path(draft.name))
    return Done(
        producer=Producer(name="filmgate-quality", version=versions_of(checks)),
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
    the task list names. Those below the prefix, as far as that is known without a look."""
    if not bench.has(ITEMS):
        for task in tasks(listed(bench.source)):
            yield GameItem(s3_key=task.key, status="extracted")
        return
    for item in bench.read_records(ITEMS, GameItem):
        if key_of(item).startswith(settings.prefix):
            yield item


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
                judged = Judged((error_row(told, self._settings),))
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


def schema_of(checks: Sequence[Check]) -> "pa.Schema":
    """The table's columns: the public pipeline's; and of ours, unless the checks are v1, what
    each check says, on what evidence, and of which file."""
    import pyarrow as pa  # heavy

    columns = [(name, arrow_type(kind)) for name, kind in ORIGINAL.items()]
    if any(each.edition == V2 for each in checks):
        columns += [(name, arrow_type(kind)) for name, kind in OURS.items()]
        for each in checks:
            fields = [
                (name, arrow_type(kind)) for name, kind in each.fields.items() if name != "value"
            ]
            if each.name not in ORIGINAL:
                columns.append((each.name, arrow_type(each.fields["value"])))
            if fields:
                columns.append((evidence(each), pa.struct(fields)))
    return pa.schema(columns)


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


def _output(open_store: OpenStore, place: str) -> Callable[[Path], None]:
    """Puts the table where it was asked for, whole or not at all. Raises what is wrong with that
    place before anything is judged."""
    folder, slash, name = place.rpartition("/")
    if not name or Path(place).is_dir() or (folder.startswith("s3:/") and folder.count("/") < 2):  # noqa: PLR2004
        raise Invalid(
            "the table cannot be put there",
            expected="a file, or s3://bucket/key.parquet",
            got=place,
            hint="Mend --output-path",
        )
    store = open_store(folder or slash, make=True)
    return partial(store.replace, name)
