"""A plan whose stages fan out, run in parallel, and make every kind of file."""

import threading
from collections.abc import Callable
from functools import partial

from pydantic import BaseModel

from filmgate.core.files import binary, document, parquet, records
from filmgate.core.plan import Done, Outcome, Plan, Settings, Stage, stage
from filmgate.core.ports import StageContext
from support.items import double
from support.runs import PRODUCER


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
    """Settings of the stage `count`."""

    last: int = 6
    """The last number to count."""


@stage(makes=[NUMBERS], settings=CountSettings, aliases=["tally", "old count"])
def count(context: StageContext, settings: CountSettings) -> Outcome:
    """Write twice each number; multiples of seven are failed items."""
    mapped = context.map(double, range(1, settings.last + 1), total=settings.last)
    context.write_records(NUMBERS, (Number(number=m.value) for m in mapped if m.value is not None))
    return Done(producer=PRODUCER)


@stage(requires=["count"], makes=[TABLE])
def tabulate(context: StageContext, settings: Settings) -> Outcome:
    """Write the numbers as a table."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    numbers = [record.number for record in context.read_records(NUMBERS, Number)]
    with context.create(TABLE) as file:
        pq.write_table(pa.table({"number": pa.array(numbers, pa.int64())}), file)
    return Done(producer=PRODUCER)


@stage(requires=["count"], makes=[BLOB])
def blob(context: StageContext, settings: Settings) -> Outcome:
    """Write the bytes of the file of numbers in reverse order, read from its path."""
    with context.create(BLOB) as file:
        file.write(context.path(NUMBERS).read_bytes()[::-1])
    return Done(producer=PRODUCER)


@stage(requires=["tabulate", "blob"], makes=[TOTAL])
def total(context: StageContext, settings: Settings) -> Outcome:
    """Write the sum of the table."""
    from pyarrow import parquet as pq

    rows = pq.read_table(context.path(TABLE))["number"].to_pylist()
    context.write_document(TOTAL, Total(total=sum(rows)))
    return Done(producer=PRODUCER)


GRAPH = Plan(pipeline="graph", stages=(count, tabulate, blob, total))


def barrier_plan(stages: int, timeout_s: float) -> Plan:
    """A plan of stages that each wait until all of them run: they succeed only in parallel."""
    barrier = threading.Barrier(stages)

    def wait(context: StageContext, settings: Settings) -> Outcome:
        barrier.wait(timeout_s)
        return Done(producer=PRODUCER)

    return Plan(
        pipeline="barrier", stages=tuple(_named_stage(f"m{i}", wait) for i in range(stages))
    )


def _named_stage(name: str, work: Callable[[StageContext, Settings], Outcome]) -> Stage:
    function = partial(work)
    function.__name__ = name  # type: ignore[attr-defined] # a function has it
    return stage()(function)
