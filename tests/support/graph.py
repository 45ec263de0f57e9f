"""A plan whose stages fan out, run side by side, and make every kind of file."""

import threading
from collections.abc import Callable
from functools import partial

from pydantic import BaseModel

from filmgate.core.files import binary, document, parquet, records
from filmgate.core.plan import Done, Outcome, Plan, Settings, Stage, stage
from filmgate.core.ports import Bench
from support.items import double
from support.runs import ME


class Number(BaseModel):
    """A record."""

    number: int


class Total(BaseModel):
    """A document."""

    total: int


NUMBERS = records(
    "numbers.jsonl", Number, schema="test.number", min_records=1, counted_as="numbers"
)
TABLE = parquet(
    "out/table.parquet", schema="test.table", columns={"number": "int64"}, counted_as="rows"
)
BLOB = binary("out/blob.bin", schema="test.blob")
TOTAL = document("total.json", Total, schema="test.total")


class CountSettings(Settings):
    """How far to count."""

    last: int = 6


@stage(makes=[NUMBERS], settings=CountSettings, aliases=["tally", "old count"])
def count(bench: Bench, settings: CountSettings) -> Outcome:
    """Twice each number, but for multiples of seven."""
    mapped = bench.map(double, range(1, settings.last + 1), total=settings.last)
    bench.write_records(NUMBERS, (Number(number=m.value) for m in mapped if m.value is not None))
    return Done(producer=ME)


@stage(requires=["count"], makes=[TABLE])
def tabulate(bench: Bench, settings: Settings) -> Outcome:
    """The numbers as a table."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    numbers = [each.number for each in bench.read_records(NUMBERS, Number)]
    with bench.create(TABLE) as file:
        pq.write_table(pa.table({"number": pa.array(numbers, pa.int64())}), file)
    return Done(producer=ME)


@stage(requires=["count"], makes=[BLOB])
def blob(bench: Bench, settings: Settings) -> Outcome:
    """The numbers as bytes, read from the file itself."""
    with bench.create(BLOB) as file:
        file.write(bench.path(NUMBERS).read_bytes()[::-1])
    return Done(producer=ME)


@stage(requires=["tabulate", "blob"], makes=[TOTAL])
def total(bench: Bench, settings: Settings) -> Outcome:
    """The sum of the table."""
    from pyarrow import parquet as pq

    rows = pq.read_table(bench.path(TABLE))["number"].to_pylist()
    bench.write_document(TOTAL, Total(total=sum(rows)))
    return Done(producer=ME)


GRAPH = Plan(pipeline="graph", stages=(count, tabulate, blob, total))


def meeting(stages: int, timeout_s: float) -> Plan:
    """Stages that each wait until all of them are at work: they end only side by side."""
    barrier = threading.Barrier(stages)

    def wait(bench: Bench, settings: Settings) -> Outcome:
        barrier.wait(timeout_s)
        return Done(producer=ME)

    return Plan(pipeline="meeting", stages=tuple(_named(f"m{i}", wait) for i in range(stages)))


def _named(name: str, work: Callable[[Bench, Settings], Outcome]) -> Stage:
    made = partial(work)
    made.__name__ = name  # type: ignore[attr-defined] # what a function would have
    return stage()(made)
