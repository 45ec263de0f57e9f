"""Extraction: each archive of a task list to a `.pt` file of sampled frames, once."""

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from filmgate.core.errors import Invalid, NotFound, Unavailable
from filmgate.core.gameplay import GameItem, Task
from filmgate.core.objects import NO_STORE, ObjectStore
from filmgate.core.plan import Done, Outcome, Producer, stage
from filmgate.core.ports import Bench, Mapped
from filmgate.core.records import StageError
from filmgate.pipelines.gameplay.extracting import Spent, Worked, extract, failed
from filmgate.pipelines.gameplay.files import ITEMS
from filmgate.pipelines.gameplay.rules.tasks import MAX_LIST_BYTES, tasks
from filmgate.pipelines.gameplay.settings import EXTRACTED_VERSION, ExtractionSettings


@stage(makes=[ITEMS], settings=ExtractionSettings, tools=["av", "numpy"], version=EXTRACTED_VERSION)
def extraction(bench: Bench, settings: ExtractionSettings) -> Outcome:
    """Extract each archive; one that fails leaves an error record, and the others go on."""
    todo = tasks(listed(bench.source))
    source = bench.open_store(settings.source_bucket)
    bench.open_store(settings.manifest_bucket, make=True)
    _check_reachable(source, settings.source_bucket)
    work = partial(extract, open_store=bench.open_store, settings=settings)
    tally = _Tally(bench)
    bench.write_records(
        ITEMS,
        tally.items(bench.map(work, todo, name=_key, may_all_fail=True)),
    )
    version = metadata.version("av")
    return Done(
        producer=Producer(name="filmgate-extraction", version=f"{EXTRACTED_VERSION}, av {version}"),
        counts=tally.counts(),
        metrics=tally.metrics(),
    )


def _key(task: Task) -> str:
    return task.key


def listed(path: Path) -> bytes:
    """A task list; Invalid where it is too large to be one."""
    with path.open("rb") as file:
        data = file.read(MAX_LIST_BYTES + 1)
    if len(data) > MAX_LIST_BYTES:
        raise Invalid("the task list is too large", expected=f"at most {MAX_LIST_BYTES:,} bytes")
    return data


def _check_reachable(source: ObjectStore, place: str) -> None:
    """Raise what is wrong with the source as a whole, before it is said of every archive."""
    try:
        source.read(TRIED, 0, 1)
    except NotFound as error:
        if error.extra.get("reason") != NO_STORE:
            return
        raise NotFound(
            f"the archives cannot be reached: {error.message}",
            expected=f"a folder or a bucket {place}",
            got=error.got,
            hint=error.hint or "Name it: --source-bucket",
        ) from error


TRIED = "is-anybody-there"
"""A key that need not be there: that is told otherwise than a bucket that is not."""
AWAY = frozenset({"unavailable", "not_permitted", "disk_full"})
MOST_AWAY = 3
"""Items that fail so, before any is good, until the stage gives up."""


class _Tally:
    """What came of all archives."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._began = time.monotonic()
        self._seen: Counter[str] = Counter()
        self._spent = Spent()
        self._failures: dict[str, dict[str, Any]] = {}

    def items(self, outcomes: Iterator[Mapped[Task, Worked]]) -> Iterator[GameItem]:
        """The records of all items, counted on their way."""
        for each in outcomes:
            worked = each.value
            if worked is None:
                assert each.error is not None
                self._check_stores(each.error)
                worked = Worked((failed(each.item.key, each.error),), 0, Spent())
            self._seen["archives"] += 1
            self._seen["reused"] += worked.reused
            self._spent = self._spent.plus(worked.spent)
            for item in worked.items:
                self._seen[item.status] += 1
                if item.error is not None:
                    told = {"count": 0, "example": item.s3_key, "message": item.error.message}
                    self._failures.setdefault(item.error.code, told)["count"] += 1
                yield item
            failures = {code: told["count"] for code, told in self._failures.items()}
            self._bench.measure(self._rates(), failures)

    def _check_stores(self, error: StageError) -> None:
        """Raise Unavailable where it is no archive's fault: nothing but the stores failed, again
        and again."""
        self._seen["away"] += error.code in AWAY
        if self._seen["extracted"] == 0 and self._seen["away"] >= MOST_AWAY:
            raise Unavailable(
                "the stores do not take or give what they should",
                got=error.message,
                hint="Mend that, and run the same command again",
            )

    def counts(self) -> dict[str, int]:
        """How many of what."""
        names = ("archives", "extracted", "reused")
        return {name: self._seen[name] for name in names}

    def metrics(self) -> dict[str, Any]:
        """Rates, seconds by phase summed over workers, and failures by kind."""
        return {"failures": dict(sorted(self._failures.items())), **self._rates()}

    def _rates(self) -> dict[str, float]:
        """What is measured: sums so far, and rates since the stage began. `workers_busy`: how
        many workers were at work, on the mean."""
        spent, wall_s = self._spent, time.monotonic() - self._began
        busy = spent.fetch_s + spent.decode_s + spent.write_s
        return {
            "archive_bytes": spent.archive_bytes,
            "frames_sampled": spent.frames,
            "store_requests": spent.requests,
            "fetch_s": round(spent.fetch_s, 3),
            "decode_s": round(spent.decode_s, 3),
            "write_s": round(spent.write_s, 3),
            "workers_busy": round(busy / wall_s, 2) if wall_s else 0.0,
            "archives_per_s": round(self._seen["archives"] / wall_s, 3) if wall_s else 0.0,
            "bytes_per_s": round(spent.archive_bytes / wall_s) if wall_s else 0,
        }
