"""The artifact store at size: taking in, jumping, finding, searching, each beside its limit.

Run: python benchmarks/store.py [--artifacts 1000000] [--large 10000000]

With `--large` a second database is filled with so many, and it is printed how the cost grew.
One film's runs are taken in as in earnest; the other films are copies of it, made inside the
database, since what is measured then is asking.
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
from filmgate.core.publishing import Origin
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.result_store import ArtifactRow, ArtifactRows
from filmgate.db import projections, rows
from filmgate.db.connection import connected
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.db.queries import queries
from filmgate.db.result_store import PostgresResults
from filmgate.db.serving import Serving
from filmgate.sync.ingest import ingest_run
from made_films import COMMON, ME, WORDS, Prepared
from written import write_section

HERE = Origin(source="file:///benchmarks", manifest_key="manifest.json")

RUNS = 50
PER_RUN = 2500
ASKED = 2000


def as_run(prepared: Prepared) -> RunDirectory:
    """For the type checker."""
    return cast("RunDirectory", prepared)


@contextmanager
def emptied(connection: psycopg.Connection) -> Iterator[None]:
    """The database as if nothing had been taken in, before and after."""
    connection.execute("truncate assets, runs, pipeline.inbox cascade")
    yield
    connection.execute("truncate assets, runs, pipeline.inbox cascade")


def prebuilt(prepared: Prepared) -> dict[str, list[ArtifactRow]]:
    """Every record as it goes into the database, read and checked beforehand."""
    made: dict[str, list[ArtifactRow]] = {}
    for _, _, ref in prepared.manifest.artifact_refs:
        with prepared.open(ref.path) as file:
            lines = [json.loads(line) for line in file]
        made[ref.path] = [
            ArtifactRow(
                line["ordinal"],
                line["span_start_ms"],
                line["span_end_ms"],
                canonical_json(line["payload"]),
            )
            for line in lines
        ]
    return made


def measure_ingest(connection: psycopg.Connection, folder: Path, count: int) -> None:
    """Ours, the limit, and row by row."""
    prepared = Prepared(folder / "ingest", "r", count, 1)
    ready = prebuilt(prepared)
    few = {path: found[: max(1, len(found) // 10)] for path, found in ready.items()}
    rates: dict[str, list[float]] = {"ours": [], "copy": [], "single": []}
    for _ in range(3):
        with emptied(connection):
            results = PostgresResults(connection, BUILT_IN)
            seconds = timed(partial(ingest_run, as_run(prepared), results, BUILT_IN)) / 1000
            rates["ours"].append(sum(map(len, ready.values())) / seconds)
        with emptied(connection):
            blocks = {
                path: list(rows.copied(keys, ready[path]))
                for path, keys in laid(connection, prepared).items()
            }
            seconds = timed(partial(write, connection, prepared, partial(copy, blocks))) / 1000
            rates["copy"].append(sum(map(len, ready.values())) / seconds)
        with emptied(connection):
            laid(connection, prepared)
            seconds = timed(partial(write, connection, prepared, partial(insert, few))) / 1000
            rates["single"].append(sum(map(len, few.values())) / seconds)
    ours, copied, single = (statistics.median(rates[name]) for name in ("ours", "copy", "single"))
    say(f"taken in, read and validated      {ours:12,.0f} records/s")
    say(f"  COPY of bytes made before       {copied:12,.0f} records/s  ({ours / copied:.2f} of it)")
    say(f"  single inserts, one transaction {single:12,.0f} records/s  ({ours / single:.1f} x)")


Keys = dict[str, dict[str, Any]]


def laid(connection: psycopg.Connection, prepared: Prepared) -> Keys:
    """A run that is taken in without its records; the keys of each of its files."""
    files = [
        ArtifactRows("make", ref, str(ref.artifact_type), ME, prepared.manifest.created_at, ())
        for _, _, ref in prepared.manifest.artifact_refs
    ]
    PostgresResults(connection, BUILT_IN).ingest(prepared.manifest, "0" * 64, HERE, files)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select path, asset_key, run_key, type_key from artifact_files"
        ).fetchall()
    return {row.pop("path"): row for row in found}


def write(
    connection: psycopg.Connection,
    prepared: Prepared,
    put: Callable[[psycopg.Connection, str, dict[str, Any]], None],
) -> None:
    """Records into the same tables, under the same keys, with the same projections."""
    found = connection.execute("select path, asset_key, run_key, type_key from artifact_files")
    names = ("asset_key", "run_key", "type_key")
    keyed: Keys = {path: dict(zip(names, keys, strict=True)) for path, *keys in found}
    with connection.transaction():
        for path, keys in keyed.items():
            put(connection, path, keys)
            connection.execute(queries("ingest")["describe_file"], keys)
        projections.fill(connection, BUILT_IN.projections, keys)
        connection.execute(queries("ingest")["refresh_served"], keys)


def copy(
    blocks: dict[str, list[tuple[bytes, int]]],
    connection: psycopg.Connection,
    path: str,
    _keys: dict[str, Any],
) -> None:
    """What COPY takes."""
    with connection.cursor() as cursor, cursor.copy(queries("ingest")["copy_rows"]) as sink:
        for block, _ in blocks[path]:
            sink.write(block)


def insert(
    ready: dict[str, list[ArtifactRow]],
    connection: psycopg.Connection,
    path: str,
    keys: dict[str, Any],
) -> None:
    """One statement a row."""
    statement = queries("artifacts")["add_row"]
    for row in ready[path]:
        told = row._asdict() | {"payload": row.payload.decode()}
        connection.execute(statement, keys | told, prepare=True)


def measure_memory(folder: Path, url: str, count: int) -> None:
    """The most memory that taking in so many records needs, in a process of its own."""
    code = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, 'benchmarks');"
        "import store; store.take_in_apart(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    for size in (count // 10, count):
        command = [sys.executable, "-c", code, str(folder), url, str(size)]
        told = subprocess.run(command, capture_output=True, check=True, text=True)
        say(f"memory to take in {size:10,d}       {int(told.stdout):12,d} MiB at most")


def take_in_apart(folder: Path, url: str, count: int) -> None:
    """Take in a run of so many records."""
    with connected(url) as connection, emptied(connection):
        prepared = Prepared(folder / f"apart{count}", "r", count, 1)
        ingest_run(as_run(prepared), PostgresResults(connection, BUILT_IN), BUILT_IN)


def fill(connection: psycopg.Connection, folder: Path, artifacts: int) -> int:
    """Films with fifty runs each, `artifacts` in all; how many films."""
    films = max(1, artifacts // (RUNS * PER_RUN))
    results = PostgresResults(connection, BUILT_IN)
    for number in range(RUNS):
        name = folder / f"run{number}"
        prepared = Prepared(name, f"r{number}", PER_RUN, number)
        ingest_run(as_run(prepared), results, BUILT_IN)
        shutil.rmtree(name)
    connection.execute("set session_replication_role = replica")  # the copies break no key
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
        mine = ", ".join(f"x.{name}" for name in columns[1:])
        override = " overriding system value" if table == "runs" else ""
        assert columns[0] == "asset_key"
        connection.execute(
            f"insert into {table} ({', '.join(columns)}){override}"
            f" select a.asset_key, {mine} from {table} x, assets a"
            " where x.asset_key = %s and a.asset_key <> %s order by a.asset_key",
            [first[0], first[0]],
        )
    connection.execute("set session_replication_role = origin")
    connection.execute("select refresh_served(asset_key) from assets")
    connection.execute("vacuum analyze")
    return films


NAMES = tuple(each.name for each in BUILT_IN.projections)


def sizes(connection: psycopg.Connection) -> None:
    """Bytes an artifact, tables and indexes apart."""
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
        say(f"  {title:12} {table:6.0f} bytes an artifact, {indexes:6.0f} in indexes")


Asks = dict[str, Callable[[], object]]


def questions(connection: psycopg.Connection, films: int) -> Asks:
    """What is asked of a database."""
    serving, random_ = Serving(connection), random.Random(7)
    kinds = [kind for kind in JumpKind if kind is not JumpKind.PERSON]

    def film() -> AssetId:
        number = random_.randrange(films)
        return AssetId("film" if number == 0 else f"film{number + 1}")

    def jump() -> object:
        from_ms = random_.randrange(1, PER_RUN)
        return serving.jump(film(), random_.choice(kinds), random_.choice(list(Direction)), from_ms)

    def label() -> object:
        wanted = JumpFilters(label=random_.choice(WORDS[:40]))
        return serving.jump(film(), JumpKind.OBJECT, Direction.NEXT, 0, wanted)

    return {
        BARE: lambda: connection.execute("select 1", prepare=True).fetchone(),
        "jump": jump,
        "jump to a label": label,
        "find, a common word": lambda: serving.find(film(), COMMON, source=TextSource.ALL),
        "find, any word": lambda: serving.find(film(), random_.choice(WORDS)),
        "search, a common word": lambda: serving.search(COMMON),
        "search, any word": lambda: serving.search(random_.choice(WORDS)),
    }


BARE = "select 1"


def measure_asking(databases: dict[int, Asks]) -> None:
    """Median and p99 of each question to each database, all of them in turn."""
    took: dict[tuple[int, str], list[float]] = {}
    for turn in range(ASKED):
        for size, asks in databases.items():
            for name, ask in asks.items():
                if not name.startswith("search") or turn % 10 == 0:
                    took.setdefault((size, name), []).append(timed(ask))
    p50 = {key: statistics.median(times) for key, times in took.items()}
    p99 = {key: statistics.quantiles(times, n=100)[98] for key, times in took.items()}
    for size, asks in databases.items():
        say(f"\nasking {size:,} artifacts")
        for name in asks:
            key, bare = (size, name), (size, BARE)
            ratios = f"({p50[key] / p50[bare]:5.1f} x and {p99[key] / p99[bare]:5.1f} x a bare one)"
            say(f"  {name:24} {p50[key]:8.3f} ms, p99 {p99[key]:8.3f} ms  {ratios}")
    if len(databases) > 1:
        small, large = databases
        say(f"\nfrom {small:,} to {large:,} artifacts: median, p99")
        for name in databases[small]:
            grown = [each[large, name] / each[small, name] for each in (p50, p99)]
            say(f"  {name:24} {grown[0]:8.2f} x      {grown[1]:8.2f} x")


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


@contextmanager
def filled(folder: Path, artifacts: int) -> Iterator[Asks]:
    """A database with so many artifacts, and what is asked of it."""
    server = EmbeddedPostgres(folder / f"pg{artifacts}")
    with server.used() as url, connected(url) as connection:
        began = time.perf_counter()
        films = fill(connection, folder / f"files{artifacts}", artifacts)
        seconds = time.perf_counter() - began
        say(f"\n{artifacts:,} artifacts, {films} films with {RUNS} runs, filled in {seconds:.0f} s")
        sizes(connection)
        yield questions(connection, films)


def main() -> None:
    """Measure in turn, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--records", type=int, default=100_000, help="in a run that is taken in")
    parser.add_argument("--memory", type=int, default=1_000_000, help="in the run for memory")
    parser.add_argument("--write", action="store_true", help="put it into the docs")
    asked = parser.parse_args()
    measure(asked)
    if asked.write:
        write_section("store", section("\n".join(SAID)))


SAID: list[str] = []


def say(line: str) -> None:
    """Print a line, and keep it for the page."""
    print(line, flush=True)
    SAID.append(line)


def section(lines: str) -> str:
    """What was measured, as it stands on the page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# The artifact store

*Written by `python benchmarks/store.py --large 10000000 --write`.* {datetime.now(UTC).date()},
{machine}. Every film has {RUNS} runs of {PER_RUN:,} artifacts; each question is asked
{ASKED:,} times of random films (a search {ASKED // 10:,} times), in turn with a bare `select 1`
over the same connection, which is the limit: what the way to the server and back costs. Times are
those of the whole call in Python, until the answer is made.

Aimed at: taking in at 0.45 or more of COPY and 4 times single inserts, in 300 MiB; a jump within 3
times a bare one at the median and 10 times at p99; find within 5 ms and search within 50 ms at p99;
all of that growing by less than half from one million to ten.

```text
{lines.strip()}
```
"""


def measure(asked: argparse.Namespace) -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with EmbeddedPostgres(root / "pg").used() as url:
            with connected(url) as connection:
                measure_ingest(connection, root, asked.records)
            if asked.memory:
                measure_memory(root, url, asked.memory)
        with ExitStack() as stack:
            sizes_asked = [asked.artifacts, *([asked.large] if asked.large else [])]
            measure_asking({size: stack.enter_context(filled(root, size)) for size in sizes_asked})


if __name__ == "__main__":
    main()
