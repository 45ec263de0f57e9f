"""Questions to a corpus of rule books: the time of the SQL of `filmgate ask`, beside `select 1`.

Run: python benchmarks/ask.py [--books 50] [--write]

The books are synthetic (`made_books.py`) and are ingested one by one, as jobs of one book each.
Each question is asked of all books and of one, cold (over a new connection, as the command does)
and warm (over a connection that is kept, as the service does), in turn under plans for the
parameters, which Filmgate asks for, and under generic plans, which all statements had before.
"""

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import psycopg

from filmgate.core.database import Plans
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.ports import RunDirectory
from filmgate.db.connection import connected
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.db.result_store import PostgresResults
from filmgate.db.schema import Schema
from filmgate.db.sessions import DatabaseSession
from filmgate.pipelines.rulebook.corpus.search import CorpusQuestion, CorpusSearch
from filmgate.pipelines.rulebook.queries import parse_question
from filmgate.sync.ingest import ingest_run
from filmgate.tools.words import version, words
from filmgate.wiring.pipelines import branches, summaries_of
from made_books import ENV, MadeBook
from page_sections import write_section

ROUNDS = 20
AIM_MS = 50
"""At p95, for the SQL of a question of 50 books."""

ONE_BOOK = "book00.md"
QUESTIONS = {
    "one word": ["treasure", "what is darkness", "spell"],
    "a title": ["how much damage does fireball do", "what does emberlance do", "stormbane"],
    "one hop": ["which classes get fireball", "which classes get frostgate"],
    "many words": [
        "how does a creature move and attack with its action on its turn in the round",
        "does a bonus to a saving roll against poison apply to a charisma check of the caster",
    ],
    "common words": ["creature damage hit spell level", "magic item action attack class"],
}
SIDES = {Plans.CUSTOM: "custom plans", Plans.GENERIC: "generic plans"}
KEY = tuple[Plans, str, str, str]
"""Plans, cold or warm, the scope, the kind of question."""


class Took(NamedTuple):
    """Milliseconds in the database, of one question and of a `select 1` after it."""

    ask: float
    bare: float


class TimedCursor(psycopg.Cursor[Any]):
    """Adds up the time between sending statements and having all of their rows."""

    spent_s = 0.0

    def execute(self, *arguments: Any, **options: Any) -> "TimedCursor":
        """Time it."""
        began = time.perf_counter()
        try:
            return super().execute(*arguments, **options)
        finally:
            TimedCursor.spent_s += time.perf_counter() - began


def fill(connection: psycopg.Connection, folder: Path, count: int) -> int:
    """Ingest so many books; how many chunks they have."""
    results, chunks = PostgresResults(connection, BUILT_IN), 0
    for number in range(count):
        made = MadeBook(folder / str(number), number)
        ingest_run(cast("RunDirectory", made), results, BUILT_IN, summaries_of=summaries_of)
        shutil.rmtree(made.folder)
        chunks += made.chunks
    return chunks


def ask(
    connection: psycopg.Connection, asked: CorpusQuestion, book: str | None, plans: Plans
) -> Took:
    """Ask as `filmgate ask` does, and time its statements."""
    books = CorpusSearch(DatabaseSession(connection))
    if plans is not Plans.CUSTOM:
        books._session = DatabaseSession(connection, plans)
    TimedCursor.spent_s = 0.0
    books.ask(asked, env=ENV, book=book, limit=3, stem=words, version=version())
    spent_s, TimedCursor.spent_s = TimedCursor.spent_s, 0.0
    connection.execute("select 1", prepare=True).fetchone()
    return Took(spent_s * 1000, TimedCursor.spent_s * 1000)


@contextmanager
def timed(url: str) -> Iterator[psycopg.Connection]:
    """A connection whose statements are timed."""
    with connected(url, COMPLETE) as connection:
        connection.cursor_factory = TimedCursor
        yield connection


def measure(url: str) -> dict[KEY, list[Took]]:
    """Every question in every way, in turn."""
    took: dict[KEY, list[Took]] = {}
    with timed(url) as one, timed(url) as other:
        kept = {Plans.CUSTOM: one, Plans.GENERIC: other}
        for turn in range(ROUNDS + 1):
            for kind, questions in QUESTIONS.items():
                asked = [parse_question(each) for each in questions]
                for plans in SIDES:
                    for scope, book in (("all books", None), ("one book", ONE_BOOK)):
                        warm = [ask(kept[plans], each, book, plans) for each in asked]
                        cold = []
                        for each in asked:
                            with timed(url) as connection:
                                cold.append(ask(connection, each, book, plans))
                        if turn:  # the first brings the tables into memory
                            took.setdefault((plans, "warm", scope, kind), []).extend(warm)
                            took.setdefault((plans, "cold", scope, kind), []).extend(cold)
    return took


def report(took: dict[KEY, list[Took]], *, by_kind: bool) -> None:
    """Medians and p95 of all questions, and of each kind where asked."""
    for scope in ("all books", "one book"):
        for heat in ("warm", "cold"):
            say(f"  {scope}, {heat}")
            for plans, name in SIDES.items():
                of_all: list[Took] = []
                for kind in QUESTIONS:
                    found = took[plans, heat, scope, kind]
                    of_all += found
                    if by_kind and plans is Plans.CUSTOM:
                        say(f"    {kind:22}{told(found)}")
                aim = f"  (target {AIM_MS})" if plans is Plans.CUSTOM else ""
                say(f"    all, {name:17}{told(of_all)}{aim}")


def told(found: list[Took]) -> str:
    """The figures of some questions, in a line."""
    asks, bares = [each.ask for each in found], [each.bare for each in found]
    p50, bare = statistics.median(asks), statistics.median(bares)
    return f"{p50:8.1f} ms, p95 {p95(asks):8.1f} ms  {p50 / bare:6.0f} x `select 1` ({bare:.2f} ms)"


def p95(times: list[float]) -> float:
    """The time that one in twenty exceeds."""
    return statistics.quantiles(times, n=20)[18]


def forget_rows(connection: psycopg.Connection) -> None:
    """Leave the statistics as autovacuum does that comes while the first books are ingested: tables
    with many pages and no rows."""
    for (table,) in connection.execute(
        "select oid::regclass::text from pg_class"
        " where starts_with(relname, 'corpus_') and relkind = 'r'"
    ).fetchall():
        connection.execute(f"alter table {table} set (autovacuum_enabled = false)")
    connection.execute(
        "select pg_restore_relation_stats('schemaname', 'filmgate', 'relname', relname::text,"
        " 'relpages', greatest(relpages, (pg_relation_size(oid) / 8192)::integer),"
        " 'reltuples', 0::real)"
        " from pg_class where starts_with(relname, 'corpus_') and relkind in ('r', 'i')"
    )


COMPLETE = Schema(branches=branches())
SAID: list[str] = []


def say(line: str = "") -> None:
    """Print a line, and keep it for the page."""
    print(line, flush=True)
    SAID.append(line)


def section(lines: str) -> str:
    """What was measured, as it stands on the page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# Questions to many rulebooks

*Written by `python benchmarks/ask.py --write`.* {datetime.now(UTC).date()}, {machine}. The books
are synthetic, have the word frequencies of the SRD 5.1, and are ingested one by one. A time is
that of all SQL of a question until its rows have arrived. Each question is asked {ROUNDS} times:
cold, over a new connection (as `filmgate ask` does), and warm, over a connection that stays open
(as the service does). Custom plans, made for the parameters, alternate with generic plans, which
all statements had before.

Target: {AIM_MS} ms at p95.

```text
{lines.strip()}
```
"""


def main() -> None:
    """Measure, print, and write the page where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--books", type=int, default=50)
    parser.add_argument("--write", action="store_true", help="put it into the docs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with EmbeddedPostgres(root / "pg").running() as url:
            with connected(url, COMPLETE) as connection:
                began = time.perf_counter()
                chunks = fill(connection, root / "books", asked.books)
                seconds = time.perf_counter() - began
                row = connection.execute(
                    "select sum(total_analyze_time) / 1000, sum(analyze_count)"
                    " from pg_stat_user_tables where starts_with(relname, 'corpus_')"
                ).fetchone()
            assert row is not None
            say(f"{asked.books} books, {chunks:,} chunks, ingested in {seconds:.0f} s")
            say(f"  of which ANALYZE of {row[1]:.0f} tables took {row[0]:.1f} s")
            say("\nstatistics as the ingests left them")
            report(measure(url), by_kind=True)
            with connected(url, COMPLETE) as connection:
                forget_rows(connection)
            say("\nstatistics that count no rows, as autovacuum leaves them during an ingest")
            report(measure(url), by_kind=False)
    if asked.write:
        write_section("ask", section("\n".join(SAID)))


if __name__ == "__main__":
    main()
