"""A run is ingested exactly once and completely, and is then served."""

import threading
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from filmgate.core.digest import sha256_hex
from filmgate.core.envelope import Envelope
from filmgate.core.errors import Conflict, Held, Invalid
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.connection import connected
from filmgate.db.result_store import PostgresResults
from filmgate.store.run_directory import FolderRun
from filmgate.sync.ingest import ingest_run
from support.archive import LOCAL_ORIGIN
from support.database import FILM
from support.runs import LETTERS, MOMENT, SCENES, WORDS, execute, reserve_run

TABLES = (
    "assets",
    "runs",
    "artifact_files",
    "artifact_rows",
    "transcript_fts",
    "scene_ranges",
    "pipeline.inbox",
)


@pytest.fixture
def results(connection: psycopg.Connection) -> PostgresResults:
    return PostgresResults(connection, BUILT_IN)


@pytest.fixture
def run(tmp_path: Path, source: Path) -> FolderRun:
    run = reserve_run(tmp_path / "home", source)
    execute(run, source)
    return run


def rows(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    return {
        table: sorted(str(row) for row in connection.execute(f"select * from {table}"))
        for table in TABLES
    }


def test_the_same_manifest_twice_leaves_the_same_rows(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    first = ingest_run(run, results, BUILT_IN)
    once = rows(connection)
    second = ingest_run(run, results, BUILT_IN)
    assert (first.is_replay, second.is_replay) == (False, True)
    assert first.artifacts == second.artifacts == {"scene": 3, "transcript.segment": 3}
    assert rows(connection) == once


def test_a_run_ingested_from_another_folder_is_the_same_run(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun, tmp_path: Path
) -> None:
    ingest_run(run, results, BUILT_IN)
    once = rows(connection)
    moved = tmp_path / "moved"
    run.folder.rename(moved)
    assert ingest_run(FolderRun(moved), results, BUILT_IN).is_replay
    assert rows(connection) == once


def test_concurrent_ingests_of_one_run_write_it_once(
    database_url: str, connection: psycopg.Connection, run: FolderRun
) -> None:
    receipts = []

    def ingest() -> None:
        with connected(database_url) as own:
            receipts.append(ingest_run(run, PostgresResults(own, BUILT_IN), BUILT_IN))

    threads = [threading.Thread(target=ingest) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.is_replay for receipt in receipts) == [False, True, True, True]
    assert len(rows(connection)["artifact_rows"]) == 6


@pytest.mark.parametrize("path", [LETTERS.path, SCENES.path, WORDS.path])
def test_a_file_that_does_not_match_the_manifest_leaves_no_rows(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun, path: str
) -> None:
    file = run.folder / path
    file.write_bytes(file.read_bytes().replace(b"1000", b"1001").replace(b"a", b"b"))
    before = rows(connection)
    with pytest.raises(Invalid, match=f"{path} does not match the manifest"):
        ingest_run(run, results, BUILT_IN)
    assert rows(connection) == before


def test_a_later_revision_replaces_the_earlier_one(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun, source: Path
) -> None:
    ingest_run(run, results, BUILT_IN)
    execute(run, source, stages=["part"], force=True)
    assert not ingest_run(run, results, BUILT_IN).is_replay
    assert {table: len(found) for table, found in rows(connection).items()} == {
        "assets": 1,
        "runs": 1,
        "artifact_files": 2,
        "artifact_rows": 6,
        "transcript_fts": 3,
        "scene_ranges": 3,
        "pipeline.inbox": 2,
    }
    query = "select is_current from pipeline.inbox order by revision"
    assert connection.execute(query).fetchall() == [(False,), (True,)]


def test_other_bytes_under_the_same_revision_are_a_conflict(
    results: PostgresResults, run: FolderRun, source: Path, tmp_path: Path
) -> None:
    ingest_run(run, results, BUILT_IN)
    source.write_text("xyz")
    other = reserve_run(tmp_path / "elsewhere", source, run_id=run.head.run_id)
    execute(other, source)
    with pytest.raises(Conflict, match="other bytes") as caught:
        ingest_run(other, results, BUILT_IN)
    assert caught.value.details["reason"] == "manifest_conflict"


def test_runs_of_two_installations_with_the_same_id_coexist(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    manifest = run.fold_manifest(None)
    for producer in ("ours", "theirs"):
        foreign = manifest.model_copy(update={"producer": producer})
        receipt = results.ingest(foreign, sha256_hex(foreign.to_bytes()), LOCAL_ORIGIN, ())
        assert not receipt.is_replay
    assert len(rows(connection)["runs"]) == 2


def test_an_older_run_ingested_later_does_not_change_the_asset(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    newest = rows(connection)["assets"]
    manifest = run.fold_manifest(None)
    older = manifest.model_copy(
        update={
            "run_id": "older",
            "created_at": manifest.created_at - timedelta(days=1),
            "asset": manifest.asset.model_copy(update={"uri": "file:///old"}),
        }
    )
    results.ingest(older, sha256_hex(older.to_bytes()), LOCAL_ORIGIN, ())
    assert rows(connection)["assets"] == newest


def test_a_new_type_in_concurrent_ingests_gets_one_key(
    database_url: str, connection: psycopg.Connection, source: Path, tmp_path: Path
) -> None:
    runs = []
    for number in range(4):
        run = reserve_run(tmp_path / "home", source, asset=f"film{number}")
        execute(run, source)
        runs.append(run)
    failures: list[BaseException] = []

    def ingest(run: FolderRun) -> None:
        try:
            with connected(database_url) as own:
                ingest_run(run, PostgresResults(own, BUILT_IN), BUILT_IN)
        except BaseException as error:  # noqa: BLE001 - reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=ingest, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert connection.execute("select count(*) from artifact_types").fetchone() == (2,)


def test_a_run_with_an_active_lease_is_not_ingested(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    with run.acquire_lease(MOMENT), pytest.raises(Held, match="not ready to be ingested"):
        ingest_run(run, results, BUILT_IN)
    assert rows(connection)["runs"] == []


def test_a_failed_run_is_stored_and_never_served(
    connection: psycopg.Connection, results: PostgresResults, source: Path, tmp_path: Path
) -> None:
    source.write_text("!")
    run = reserve_run(tmp_path / "home", source)
    execute(run, source)
    assert ingest_run(run, results, BUILT_IN).status == "failed"
    assert connection.execute("select status from runs").fetchall() == [("failed",)]
    source.write_text("abc")
    completed = reserve_run(tmp_path / "home", source)
    execute(completed, source)
    ingest_run(completed, results, BUILT_IN)
    assert served_scenes(connection) == 3
    source.write_text("!")
    execute(run, source, force=True)
    ingest_run(run, results, BUILT_IN)
    assert served_scenes(connection) == 3


def served_scenes(connection: psycopg.Connection) -> int:
    return len(ArtifactQueries(connection).artifacts(FILM, artifact_types=["scene"]).artifacts)


def test_the_status_of_a_run_is_stored_from_its_start_to_its_end(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    def status() -> object:
        return connection.execute("select status, finished_at is null from runs").fetchone()

    results.begin(run.head)
    assert status() == ("running", True)
    results.end(run.fold_manifest(None))
    assert status() == ("incomplete", False), "its artifacts were not ingested"
    results.begin(run.head)
    assert status() == ("running", True)
    assert not ingest_run(run, results, BUILT_IN).is_replay
    assert status() == ("completed", False)
    results.begin(run.head)
    assert status() == ("completed", False), "the ingested revision is still served"


def test_every_ingested_artifact_has_a_complete_envelope(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    columns = ", ".join(Envelope.model_fields)
    found = connection.execute(f"select {columns} from artifacts").fetchall()
    assert len(found) == 6
    assert not [row for row in found if any(value in (None, "") for value in row)]
    first = ArtifactQueries(connection).artifacts(FILM, artifact_types=["scene"]).artifacts[0]
    assert isinstance(first, Envelope)
    assert first.artifact_id == f"film:{run.head.run_id}:scene:0"
    assert first.payload["scene_index"] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "update artifact_rows set span_start_ms = span_end_ms + 1",
        "update artifact_rows set payload = 'null'",
        "update artifact_files set producer = ''",
        "update artifact_files set producer = null",
        "update runs set config_hash = ''",
        "update runs set input_hash = 'sha256:short'",
        "update assets set asset_id = 'a/b'",
        "insert into artifact_rows select * from artifact_rows",
        "update artifact_rows set run_key = 999",
    ],
)
def test_constraints_reject_invalid_rows(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun, statement: str
) -> None:
    ingest_run(run, results, BUILT_IN)
    with pytest.raises(psycopg.IntegrityError):
        connection.execute(statement)
