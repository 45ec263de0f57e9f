"""Plans of prepared statements, and the planner's statistics of tables."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from structlog.testing import capture_logs

from filmgate.core.database import Plans
from filmgate.core.questions import Direction, JumpKind
from filmgate.db import statistics
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.pool import Pool
from filmgate.db.sessions import DatabaseSession
from filmgate.pipelines.rulebook.corpus.search import CorpusSearch
from support.archive import ingest_artifacts, scene_payload
from support.corpus import answering_titles, ingest_book
from support.database import FILM

REPETITIONS = 7
"""More than five: by default PostgreSQL plans a statement five times for its parameters and may
then use a generic plan."""


def plans_of(connection: psycopg.Connection, text: str) -> tuple[int, int]:
    """Count how often prepared statements that contain `text` had a generic and a custom plan."""
    row = connection.execute(
        "select sum(generic_plans), sum(custom_plans) from pg_prepared_statements"
        " where position(%s in statement) > 0 and statement not like '%%pg_prepared_statements%%'",
        [text],
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def mode(connection: psycopg.Connection) -> str:
    row = connection.execute("show plan_cache_mode").fetchone()
    assert row is not None
    return str(row[0])


def statistics_of(connection: psycopg.Connection, table: str) -> tuple[int, bool]:
    """Return the planner's estimate of a table's rows, -1 where it has none; and whether the table
    was analysed explicitly."""
    row = connection.execute(
        "select c.reltuples, pg_stat_get_last_analyze_time(c.oid) is not null"
        " from pg_class c where c.oid = %s::regclass",
        [table],
    ).fetchone()
    assert row is not None
    return int(row[0]), bool(row[1])


def test_a_connection_forces_no_kind_of_plan(connection: psycopg.Connection) -> None:
    assert mode(connection) == "auto"


def test_corpus_searches_always_have_custom_plans(
    connection: psycopg.Connection,
) -> None:
    ingest_book(connection)
    corpus = CorpusSearch(DatabaseSession(connection))
    for _ in range(REPETITIONS):
        assert answering_titles(corpus, "which classes get kindle")[0] == "Kindle"
        assert answering_titles(corpus, "still water")[0] == "Calm Water"
    for table in ("corpus_posting_lists", "corpus_nodes", "corpus_chunks", "corpus_books"):
        generic, custom = plans_of(connection, table)
        assert (generic, custom > 0) == (0, True), table


def test_jump_find_search_and_lists_have_generic_plans(
    connection: psycopg.Connection,
) -> None:
    ingest_artifacts(connection, {"scene": [(n, n + 1, scene_payload()) for n in range(5)]})
    serving = ArtifactQueries(connection)
    for from_ms in range(3):
        serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, from_ms)
        serving.find(FILM, "word")
        serving.search("word")
        serving.artifacts(FILM, from_ms=from_ms)
    generic, custom = plans_of(connection, "served s")
    assert (generic > 0, custom) == (True, 0)


def test_alternating_statements_on_a_connection_keep_their_kinds_of_plans(
    connection: psycopg.Connection,
) -> None:
    ingest_book(connection)
    ingest_artifacts(connection, {"scene": [(n, n + 1, scene_payload()) for n in range(5)]})
    for _ in range(REPETITIONS):
        answering_titles(CorpusSearch(DatabaseSession(connection)), "water")
        ArtifactQueries(connection).jump(FILM, JumpKind.SCENE, Direction.NEXT, 0)
    assert plans_of(connection, "corpus_posting_lists")[0] == 0
    assert plans_of(connection, "served s")[1] == 0
    DatabaseSession(connection).all("select 1 as one", {})
    assert mode(connection) == "auto"


def test_a_pooled_connection_sets_its_mode_once_for_all_borrowers(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    with Pool(lambda: database_url, 1).opened() as pool:
        with pool.connection() as connection:
            ingest_artifacts(connection, {"scene": [(n, n + 1, scene_payload()) for n in range(5)]})
            ArtifactQueries(connection).jump(FILM, JumpKind.SCENE, Direction.NEXT, 0)
            execute = connection.execute
            monkeypatch.setattr(connection, "execute", lambda *arguments: sent.append(arguments[0]))
        for _ in range(3):
            with pool.connection() as connection:
                ArtifactQueries(connection).jump(FILM, JumpKind.SCENE, Direction.NEXT, 0)
        assert sent == []
        with pool.connection() as connection:
            monkeypatch.setattr(connection, "execute", execute)
            DatabaseSession(connection).all("select 1 as one", {})
            assert mode(connection) == "auto"


def test_a_rollback_does_not_reset_the_mode_unnoticed(connection: psycopg.Connection) -> None:
    with connection.transaction(force_rollback=True):
        DatabaseSession(connection, Plans.CUSTOM).all("select 1 as one", {})
        assert mode(connection) == "auto"
    DatabaseSession(connection, Plans.CUSTOM).all("select 1 as one", {})
    assert mode(connection) == "force_custom_plan"


def test_a_large_run_refreshes_statistics_of_its_table_partition_and_projection(
    connection: psycopg.Connection,
) -> None:
    ingest_artifacts(connection, many_scenes(1200))
    assert statistics_of(connection, "artifact_rows") == (1200, True)
    assert statistics_of(connection, "scene_ranges") == (1200, True)
    (partition,) = connection.execute(
        "select distinct tableoid::regclass::text from artifact_rows"
    ).fetchone() or ("",)
    assert statistics_of(connection, partition) == (1200, True)


def test_a_large_book_refreshes_statistics_of_the_corpus(connection: psycopg.Connection) -> None:
    ingest_book(connection, passages={f"Title {n}": f"word{n} of a rule" for n in range(1200)})
    assert statistics_of(connection, "corpus_chunks") == (1201, True)
    assert statistics_of(connection, "corpus_edges") == (1200, True)
    assert statistics_of(connection, "corpus_posting_lists")[0] > 1200


def test_a_small_run_is_not_analysed_and_many_of_them_are(connection: psycopg.Connection) -> None:
    ingest_artifacts(connection, many_scenes(400), run="r1")
    assert not statistics_of(connection, "artifact_rows")[1]
    ingest_artifacts(connection, many_scenes(400), run="r2")
    assert not statistics_of(connection, "artifact_rows")[1]
    ingest_artifacts(connection, many_scenes(400), run="r3")
    assert statistics_of(connection, "artifact_rows") == (1200, True)


def test_a_table_is_analysed_again_when_half_of_it_is_new(connection: psycopg.Connection) -> None:
    ingest_artifacts(connection, many_scenes(3000), run="r1")
    ingest_artifacts(connection, many_scenes(1400), run="r2")
    assert statistics_of(connection, "artifact_rows")[0] == 3000
    ingest_artifacts(connection, many_scenes(200), run="r3")
    assert statistics_of(connection, "artifact_rows")[0] == 4600


def test_a_partitioned_table_is_analysed_also_after_its_partitions(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(statistics, "LEAST_ROWS", 10_000)
        ingest_artifacts(connection, many_scenes(1200))
    for number in range(4):
        connection.execute(f"analyze artifact_rows_{number}")
    assert not statistics_of(connection, "artifact_rows")[1]
    assert "filmgate.artifact_rows" in statistics.refresh_statistics(connection)
    assert statistics_of(connection, "artifact_rows") == (1200, True)
    assert statistics.refresh_statistics(connection) == ()


def test_a_run_stays_ingested_if_its_tables_cannot_be_analysed(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "LEAST_SHARE", "no number")
    with capture_logs() as logged:
        ingest_artifacts(connection, many_scenes(1200))
    assert connection.execute("select count(*) from artifact_rows").fetchone() == (1200,)
    assert [entry["event"] for entry in logged] == ["statistics.failed"]
    ingest_artifacts(connection, many_scenes(3), run="after")
    assert connection.execute("select count(*) from runs").fetchone() == (2,)


def test_a_table_locked_by_another_session_is_skipped(
    connection: psycopg.Connection, database_url: str
) -> None:
    connection.execute("set lock_timeout = '2s'")
    with analysing(database_url, "scene_ranges"), capture_logs() as logged:
        ingest_artifacts(connection, many_scenes(1200))
    assert logged == []
    assert statistics_of(connection, "artifact_rows")[0] == 1200
    assert not statistics_of(connection, "scene_ranges")[1]


def test_an_ingest_in_an_open_transaction_does_not_refresh_statistics(
    connection: psycopg.Connection,
) -> None:
    with connection.transaction():
        ingest_artifacts(connection, many_scenes(1200))
    assert not statistics_of(connection, "artifact_rows")[1]
    assert "filmgate.artifact_rows" in statistics.refresh_statistics(connection)


@contextmanager
def analysing(url: str, table: str) -> Iterator[None]:
    """Hold the lock that ANALYZE takes."""
    with psycopg.connect(url) as other:
        other.execute(f"lock table {table} in share update exclusive mode")
        yield


def many_scenes(count: int) -> dict[str, list[tuple[int, int, dict[str, object]]]]:
    return {"scene": [(n, n + 1, scene_payload(n)) for n in range(count)]}
