"""Extraction: extracts each archive of a task list to a `.pt` file of sampled frames."""

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path

from filmgate.core.digest import JsonObject
from filmgate.core.errors import Invalid, NotFound, NotPermitted, StoreNotFound, Unavailable
from filmgate.core.objects import ObjectStore
from filmgate.core.plan import Done, Outcome, Producer, stage
from filmgate.core.ports import Mapped, StageContext
from filmgate.core.records import FailureCode, StageError
from filmgate.pipelines.gameplay.archive_worker import (
    ExtractionCosts,
    ExtractionResult,
    extract_archive,
    make_failed_item,
)
from filmgate.pipelines.gameplay.contracts import ExtractionTask, GameItem
from filmgate.pipelines.gameplay.failure_counts import FailureCounts
from filmgate.pipelines.gameplay.files import ITEMS
from filmgate.pipelines.gameplay.rules.tasks import MAX_LIST_BYTES, parse_tasks
from filmgate.pipelines.gameplay.settings import EXTRACTED_VERSION, ExtractionSettings


@stage(makes=[ITEMS], settings=ExtractionSettings, tools=["av", "numpy"], version=EXTRACTED_VERSION)
def extraction(context: StageContext, settings: ExtractionSettings) -> Outcome:
    """Extract each archive; one that fails leaves a failure record, and the others continue."""
    tasks = parse_tasks(read_task_list(context.source))
    source = context.open_store(settings.source_bucket)
    context.open_store(settings.manifest_bucket, make=True)
    _require_store(source, settings.source_bucket)
    work = partial(extract_archive, open_store=context.open_store, settings=settings)
    item_counts = _ExtractionCounts(context)
    context.write_records(
        ITEMS,
        item_counts.items(context.map(work, tasks, name=_key, may_all_fail=True)),
    )
    version = metadata.version("av")
    return Done(
        producer=Producer(name="filmgate-extraction", version=f"{EXTRACTED_VERSION}, av {version}"),
        counts=item_counts.counts(),
        metrics=item_counts.metrics(),
    )


def _key(task: ExtractionTask) -> str:
    return task.key


def read_task_list(path: Path) -> bytes:
    """Read a task list; raises Invalid if it is too large."""
    with path.open("rb") as file:
        data = file.read(MAX_LIST_BYTES + 1)
    if len(data) > MAX_LIST_BYTES:
        raise Invalid("the task list is too large", expected=f"at most {MAX_LIST_BYTES:,} bytes")
    return data


def _require_store(source: ObjectStore, place: str) -> None:
    """Raise NotFound if the source does not exist, instead of one error for each archive."""
    try:
        source.check()
    except StoreNotFound as error:
        raise NotFound(
            f"the source of the archives cannot be reached: {error.message}",
            expected=f"a folder or a bucket {place}",
            got=error.got,
            hint=error.hint or "Set it with --source-bucket",
        ) from error


STORE_ERROR_CODES = frozenset({Unavailable.code, NotPermitted.code, FailureCode.DISK_FULL})
"""Codes of errors that are caused by a store, not by an archive."""
MAX_STORE_FAILURES = 3
"""Number of store errors at which the stage fails, if no item has succeeded before."""


class _ExtractionCounts:
    """Counts and costs of all archives."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._started_s = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._costs = ExtractionCosts()
        self._failures = FailureCounts()

    def items(
        self, outcomes: Iterator[Mapped[ExtractionTask, ExtractionResult]]
    ) -> Iterator[GameItem]:
        """Yield the records of all items, and count them."""
        for outcome in outcomes:
            result = outcome.value
            if result is None:
                assert outcome.error is not None
                self._stop_if_stores_fail(outcome.error)
                failed = make_failed_item(outcome.item.key, outcome.error)
                result = ExtractionResult((failed,), 0, ExtractionCosts())
            self._counts["archives"] += 1
            self._counts["reused"] += result.reused
            self._costs = self._costs.plus(result.costs)
            for item in result.items:
                self._counts[item.status] += 1
                if item.error is not None:
                    self._failures.add(item.error.code, item.s3_key, item.error.message)
                yield item
            self._context.measure(self._rates(), self._failures.counts)

    def _stop_if_stores_fail(self, error: StageError) -> None:
        """Raise an error if items fail repeatedly because of the stores, not of the archives.

        The error is NotPermitted if the stores refuse access, else Unavailable. Errors of an
        archive have a `reason`.
        """
        is_of_store = error.code in STORE_ERROR_CODES and "reason" not in error.details
        self._counts["store_failures"] += is_of_store
        if self._counts["extracted"] == 0 and self._counts["store_failures"] >= MAX_STORE_FAILURES:
            kind = NotPermitted if error.code == NotPermitted.code else Unavailable
            raise kind(
                "the object stores cannot be read or written",
                got=error.message,
                hint="Repair the stores, then run the same command again",
            )

    def counts(self) -> dict[str, int]:
        """Return the counts of the stage."""
        names = ("archives", "extracted", "reused")
        return {name: self._counts[name] for name in names}

    def metrics(self) -> JsonObject:
        """Return rates, seconds by phase summed over all workers, and failures by error code."""
        return {"failures": self._failures.by_code, **self._rates()}

    def _rates(self) -> dict[str, float]:
        """Return the sums so far, and rates since the stage started.

        `workers_busy` is the mean number of workers that were busy.
        """
        costs, wall_s = self._costs, time.monotonic() - self._started_s
        busy = costs.fetch_s + costs.decode_s + costs.write_s
        return {
            "archive_bytes": costs.archive_bytes,
            "frames_sampled": costs.frames,
            "store_requests": costs.requests,
            "fetch_s": round(costs.fetch_s, 3),
            "decode_s": round(costs.decode_s, 3),
            "write_s": round(costs.write_s, 3),
            "workers_busy": round(busy / wall_s, 2) if wall_s else 0.0,
            "archives_per_s": round(self._counts["archives"] / wall_s, 3) if wall_s else 0.0,
            "bytes_per_s": round(costs.archive_bytes / wall_s) if wall_s else 0,
        }
