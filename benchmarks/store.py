"""The artifact store with many artifacts: ingest, jump, find and search, compared with limits.

Run: python benchmarks/store.py [--artifacts 1000000] [--large 10000000]

With `--large`, a second database with that many artifacts is filled, and the growth of query times
is printed. The runs of one film are ingested normally; the other films are copies made inside the
database, because only queries are measured on them.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg.rows import dict_row

from filmgate.core.digest import canonical_json
from filmgate.core.ids import AssetId
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.ports import RunDirectory
from filmgate.core.publishing import ManifestLocation
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.result_store import ArtifactRow, ArtifactRows
from filmgate.db import projections, rows
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.connection import connected
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.db.queries import queries
from filmgate.db.result_store import PostgresResults
from filmgate.sync.ingest import ingest_run
from made_films import COMMON, PRODUCER, WORDS, SyntheticRun
from page_sections import log, logged_text, write_section

LOCATION = ManifestLocation(source="file:///benchmarks", manifest_key="manifest.json")

RUNS = 50
PER_RUN = 2500
QUERIES = 2000


def as_run_directory(run: SyntheticRun) -> RunDirectory:
    """Cast for the type checker."""
    return cast("RunDirectory", run)


@contextmanager
def emptied(connection: psycopg.Connection) -> Iterator[None]:
    """Delete all ingested runs before and after the block."""
    statement = "truncate assets, runs, product_runs, inbox cascade"
    connection.execute(statement)
    yield
    connection.execute(statement)


def prepare_rows(run: SyntheticRun) -> dict[str, list[ArtifactRow]]:
    """Read every record of a run as it is inserted into the database: path → rows."""
    prepared: dict[str, list[ArtifactRow]] = {}
    for _, _, ref in run.manifest.artifact_refs:
        with run.open(ref.path) as file:
            lines = [json.loads(line) for line in file]
        prepared[ref.path] = [
            ArtifactRow(
                line["ordinal"],
                line["span_start_ms"],
                line["span_end_ms"],
                canonical_json(line["payload"]),
            )
            for line in lines
        ]
    return prepared


def measure_ingest(connection: psycopg.Connection, folder: Path, count: int) -> None:
    """Compare the ingest with COPY of prepared bytes, and with single inserts."""
    run = SyntheticRun(folder / "ingest", "r", count, 1)
    prepared = prepare_rows(run)
    tenth = {path: found[: max(1, len(found) // 10)] for path, found in prepared.items()}
    rates: dict[str, list[float]] = {"ingest": [], "copy": [], "single": []}
    for _ in range(3):
        with emptied(connection):
            results = PostgresResults(connection, BUILT_IN)
            ingest = partial(ingest_run, as_run_directory(run), results, BUILT_IN)
            rates["ingest"].append(sum(map(len, prepared.values())) / time_ms(ingest) * 1000)
        with emptied(connection):
            blocks = {
                path: list(rows.copy_blocks(keys, prepared[path]))
                for path, keys in ingest_without_rows(connection, run).items()
            }
            write = partial(write_rows, connection, partial(copy_rows, blocks))
            rates["copy"].append(sum(map(len, prepared.values())) / time_ms(write) * 1000)
        with emptied(connection):
            ingest_without_rows(connection, run)
            write = partial(write_rows, connection, partial(insert_rows, tenth))
            rates["single"].append(sum(map(len, tenth.values())) / time_ms(write) * 1000)
    ingested, copied, single = (
        statistics.median(rates[name]) for name in ("ingest", "copy", "single")
    )
    share = f"({ingested / copied:.2f} of it)"
    log(f"ingested, read and validated      {ingested:12,.0f} records/s")
    log(f"  COPY of prepared bytes          {copied:12,.0f} records/s  {share}")
    log(f"  single inserts, one transaction {single:12,.0f} records/s  ({ingested / single:.1f} x)")


Keys = dict[str, dict[str, Any]]
"""Path of an artifact file → its key columns."""


def ingest_without_rows(connection: psycopg.Connection, run: SyntheticRun) -> Keys:
    """Ingest a run without its records; return the keys of its files."""
    files = [
        ArtifactRows("make", ref, str(ref.artifact_type), PRODUCER, run.manifest.created_at, ())
        for _, _, ref in run.manifest.artifact_refs
    ]
    PostgresResults(connection, BUILT_IN).ingest(run.manifest, "0" * 64, LOCATION, files)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select path, asset_key, run_key, type_key from artifact_files"
        ).fetchall()
    return {row.pop("path"): row for row in found}


def write_rows(
    connection: psycopg.Connection,
    write_file: Callable[[psycopg.Connection, str, dict[str, Any]], None],
) -> None:
    """Write the records of all files with `write_file`, in one transaction, into the same tables
    with the same keys and projections as an ingest."""
    found = connection.execute("select path, asset_key, run_key, type_key from artifact_files")
    names = ("asset_key", "run_key", "type_key")
    keys_of_files: Keys = {path: dict(zip(names, keys, strict=True)) for path, *keys in found}
    with connection.transaction():
        for path, keys in keys_of_files.items():
            write_file(connection, path, keys)
            connection.execute(queries("ingest")["describe_file"], keys)
        projections.fill(connection, BUILT_IN.projections, keys)
        connection.execute(queries("ingest")["refresh_served"], keys)


def copy_rows(
    blocks: dict[str, list[tuple[bytes, int]]],
    connection: psycopg.Connection,
    path: str,
    _keys: dict[str, Any],
) -> None:
    """Write the prepared bytes of a file with COPY."""
    with connection.cursor() as cursor, cursor.copy(queries("ingest")["copy_rows"]) as sink:
        for block, _ in blocks[path]:
            sink.write(block)


def insert_rows(
    prepared: dict[str, list[ArtifactRow]],
    connection: psycopg.Connection,
    path: str,
    keys: dict[str, Any],
) -> None:
    """Write the rows of a file with one statement per row."""
    statement = queries("artifacts")["add_row"]
    for row in prepared[path]:
        values = row._asdict() | {"payload": row.payload.decode()}
        connection.execute(statement, keys | values, prepare=True)


def measure_memory(folder: Path, url: str, count: int) -> None:
    """Measure the peak memory of ingesting that many records, in a separate process."""
    code = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, 'benchmarks');"
        "import store; store.ingest_records(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    for size in (count // 10, count):
        command = [sys.executable, "-c", code, str(folder), url, str(size)]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        log(f"memory to ingest  {size:10,d}       {int(done.stdout):12,d} MiB at most")


def ingest_records(folder: Path, url: str, count: int) -> None:
    """Ingest a run of that many records."""
    with connected(url) as connection, emptied(connection):
        run = SyntheticRun(folder / f"records{count}", "r", count, 1)
        ingest_run(as_run_directory(run), PostgresResults(connection, BUILT_IN), BUILT_IN)


def fill(connection: psycopg.Connection, folder: Path, artifacts: int) -> int:
    """Make films with `RUNS` runs each and `artifacts` in all; return the number of films."""
    films = max(1, artifacts // (RUNS * PER_RUN))
    results = PostgresResults(connection, BUILT_IN)
    for number in range(RUNS):
        run_folder = folder / f"run{number}"
        run = SyntheticRun(run_folder, f"r{number}", PER_RUN, number)
        ingest_run(as_run_directory(run), results, BUILT_IN)
        shutil.rmtree(run_folder)
    connection.execute("set session_replication_role = replica")  # the copies violate no key
    connection.execute(
        "insert into assets (asset_id, input_hash, uri, size_bytes, media)"
        " select 'film' || n, input_hash, uri, size_bytes, media"
        " from assets, generate_series(2, %s) n where asset_id = 'film'",
        [films],
    )
    first = connection.execute("select asset_key from assets where asset_id = 'film'").fetchone()
    assert first is not None
    for table in ("runs", "artifact_files", "artifact_rows", *NAMES):
        columns = [
            row[0]
            for row in connection.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
                " order by attnum",
                [table],
            )
        ]
        values = ", ".join(f"x.{name}" for name in columns[1:])
        override = " overriding system value" if table == "runs" else ""
        assert columns[0] == "asset_key"
        connection.execute(
            f"insert into {table} ({', '.join(columns)}){override}"
            f" select a.asset_key, {values} from {table} x, assets a"
            " where x.asset_key = %s and a.asset_key <> %s order by a.asset_key",
            [first[0], first[0]],
        )
    connection.execute("set session_replication_role = origin")
    connection.execute("select refresh_served(asset_key) from assets")
    connection.execute("vacuum analyze")
    return films


NAMES = tuple(projection.name for projection in BUILT_IN.projections)


def measure_sizes(connection: psycopg.Connection) -> None:
    """Measure the bytes per artifact in tables and in indexes."""
    row = connection.execute("select count(*) from artifact_rows").fetchone()
    assert row is not None
    for title, pattern in (("artifacts", "artifact_rows%"), ("projections", None)):
        found = connection.execute(
            "select sum(pg_table_size(oid)), sum(pg_indexes_size(oid)) from pg_class"
            " where relkind in ('r', 'p') and case when %s::text is null"
            " then relname = any(%s) else relname like %s end",
            [pattern, list(NAMES), pattern],
        ).fetchone()
        assert found is not None
        table, indexes = (int(size) / row[0] for size in found)
        log(f"  {title:12} {table:6.0f} bytes per artifact, {indexes:6.0f} in indexes")


Queries = dict[str, Callable[[], object]]
"""Name of a query → a function that executes it."""


def make_queries(connection: psycopg.Connection, films: int) -> Queries:
    """Make the queries to a database, each on a random film."""
    serving, rng = ArtifactQueries(connection), random.Random(7)
    kinds = [kind for kind in JumpKind if kind is not JumpKind.PERSON]

    def film() -> AssetId:
        number = rng.randrange(films)
        return AssetId("film" if number == 0 else f"film{number + 1}")

    def jump() -> object:
        from_ms = rng.randrange(1, PER_RUN)
        return serving.jump(film(), rng.choice(kinds), rng.choice(list(Direction)), from_ms)

    def jump_to_label() -> object:
        filters = JumpFilters(label=rng.choice(WORDS[:40]))
        return serving.jump(film(), JumpKind.OBJECT, Direction.NEXT, 0, filters)

    return {
        SELECT_1: lambda: connection.execute("select 1", prepare=True).fetchone(),
        "jump": jump,
        "jump to a label": jump_to_label,
        "find, a common word": lambda: serving.find(film(), COMMON, source=TextSource.ALL),
        "find, any word": lambda: serving.find(film(), rng.choice(WORDS)),
        "search, a common word": lambda: serving.search(COMMON),
        "search, any word": lambda: serving.search(rng.choice(WORDS)),
    }


SELECT_1 = "select 1"


def measure_queries(databases: dict[int, Queries]) -> None:
    """Measure median and p99 of each query to each database, in alternation."""
    times: dict[tuple[int, str], list[float]] = {}
    for turn in range(QUERIES):
        for size, database_queries in databases.items():
            for name, query in database_queries.items():
                if not name.startswith("search") or turn % 10 == 0:
                    times.setdefault((size, name), []).append(time_ms(query))
    p50 = {key: statistics.median(found) for key, found in times.items()}
    p99 = {key: statistics.quantiles(found, n=100)[98] for key, found in times.items()}
    for size, database_queries in databases.items():
        log(f"\nqueries over {size:,} artifacts")
        for name in database_queries:
            key, base = (size, name), (size, SELECT_1)
            ratios = f"({p50[key] / p50[base]:5.1f} x and {p99[key] / p99[base]:5.1f} x `select 1`)"
            log(f"  {name:24} {p50[key]:8.3f} ms, p99 {p99[key]:8.3f} ms  {ratios}")
    if len(databases) > 1:
        small, large = databases
        log(f"\nfrom {small:,} to {large:,} artifacts: median, p99")
        for name in databases[small]:
            growth = [figures[large, name] / figures[small, name] for figures in (p50, p99)]
            log(f"  {name:24} {growth[0]:8.2f} x      {growth[1]:8.2f} x")


def time_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


@contextmanager
def filled_database(folder: Path, artifacts: int) -> Iterator[Queries]:
    """Start a database with that many artifacts, and yield the queries to it."""
    server = EmbeddedPostgres(folder / f"pg{artifacts}")
    with server.running() as url, connected(url) as connection:
        started = time.perf_counter()
        films = fill(connection, folder / f"files{artifacts}", artifacts)
        seconds = time.perf_counter() - started
        log(f"\n{artifacts:,} artifacts, {films} films with {RUNS} runs, filled in {seconds:.0f} s")
        measure_sizes(connection)
        yield make_queries(connection, films)


def main() -> None:
    """Measure everything, and write the section of the page if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=0, help="artifacts in a second database")
    parser.add_argument("--records", type=int, default=100_000, help="records of the ingested run")
    parser.add_argument("--memory", type=int, default=1_000_000, help="records for the memory test")
    parser.add_argument("--write", action="store_true", help="write docs/explanation/benchmarks.md")
    options = parser.parse_args()
    measure(options)
    if options.write:
        write_section("store", section())


def section() -> str:
    """Return the section of the page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# The artifact store

*Written by `python benchmarks/store.py --large 10000000 --write`.* {datetime.now(UTC).date()},
{machine}. Every film has {RUNS} runs of {PER_RUN:,} artifacts. Each query is executed {QUERIES:,}
times on random films (a search {QUERIES // 10:,} times). A bare `select 1` over the same connection
alternates with it and is the limit: the cost of a round trip to the server. Times are those of the
whole call in Python, until the answer exists.

Targets: ingest at 0.45 or more of COPY and 4 times single inserts, in 300 MiB. A jump within 3
times a `select 1` at the median and 10 times at p99. Find within 5 ms and search within 50 ms at
p99. All of these grow by less than half from one million artifacts to ten.

```text
{logged_text().strip()}
```
"""


def measure(options: argparse.Namespace) -> None:
    """Measure everything, in temporary databases."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with EmbeddedPostgres(root / "pg").running() as url:
            with connected(url) as connection:
                measure_ingest(connection, root, options.records)
            if options.memory:
                measure_memory(root, url, options.memory)
        with ExitStack() as stack:
            sizes = [options.artifacts, *([options.large] if options.large else [])]
            databases = {size: stack.enter_context(filled_database(root, size)) for size in sizes}
            measure_queries(databases)


if __name__ == "__main__":
    main()
