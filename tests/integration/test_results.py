"""What is ingested is served: once, whole, and as the questions define it."""

import threading
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from filmgate.core.digest import sha256_hex
from filmgate.core.envelope import Envelope
from filmgate.core.errors import Conflict, Held, Invalid
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.db.connection import connected
from filmgate.db.result_store import PostgresResults
from filmgate.db.serving import Serving
from filmgate.store.run_directory import FolderRun
from filmgate.sync.ingest import ingest_run
from support.archive import HERE
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


def test_many_that_ingest_one_run_at_once_write_it_once(
    database_url: str, connection: psycopg.Connection, run: FolderRun
) -> None:
    receipts = []

    def take_in() -> None:
        with connected(database_url) as own:
            receipts.append(ingest_run(run, PostgresResults(own, BUILT_IN), BUILT_IN))

    threads = [threading.Thread(target=take_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.is_replay for receipt in receipts) == [False, True, True, True]
    assert len(rows(connection)["artifact_rows"]) == 6


@pytest.mark.parametrize("path", [LETTERS.path, SCENES.path, WORDS.path])
def test_a_file_that_is_not_what_the_manifest_says_leaves_no_row_behind(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun, path: str
) -> None:
    file = run.folder / path
    file.write_bytes(file.read_bytes().replace(b"1000", b"1001").replace(b"a", b"b"))
    before = rows(connection)
    with pytest.raises(Invalid, match=f"{path} is not what the manifest says"):
        ingest_run(run, results, BUILT_IN)
    assert rows(connection) == before


def test_a_later_revision_of_a_run_takes_the_place_of_the_earlier(
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
    kept = connection.execute("select is_current from pipeline.inbox order by revision").fetchall()
    assert kept == [(False,), (True,)]


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


def test_a_run_of_another_installation_under_the_same_id_stands_beside_ours(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    manifest = run.refold(None)
    for producer in ("ours", "theirs"):
        foreign = manifest.model_copy(update={"producer": producer})
        receipt = results.ingest(foreign, sha256_hex(foreign.to_bytes()), HERE, ())
        assert not receipt.is_replay
    assert len(rows(connection)["runs"]) == 2


def test_an_older_run_taken_in_late_does_not_speak_for_the_asset(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    newest = rows(connection)["assets"]
    manifest = run.refold(None)
    older = manifest.model_copy(
        update={
            "run_id": "older",
            "created_at": manifest.created_at - timedelta(days=1),
            "asset": manifest.asset.model_copy(update={"uri": "file:///old"}),
        }
    )
    results.ingest(older, sha256_hex(older.to_bytes()), HERE, ())
    assert rows(connection)["assets"] == newest


def test_a_new_type_that_two_runs_bring_at_once_gets_one_key(
    database_url: str, connection: psycopg.Connection, source: Path, tmp_path: Path
) -> None:
    runs = []
    for number in range(4):
        run = reserve_run(tmp_path / "home", source, asset=f"film{number}")
        execute(run, source)
        runs.append(run)
    failures: list[BaseException] = []

    def take_in(run: FolderRun) -> None:
        try:
            with connected(database_url) as own:
                ingest_run(run, PostgresResults(own, BUILT_IN), BUILT_IN)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=take_in, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert connection.execute("select count(*) from artifact_types").fetchone() == (2,)


def test_a_run_that_is_worked_on_is_not_taken_in(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    with run.hold(MOMENT), pytest.raises(Held, match="not ready to be ingested"):
        ingest_run(run, results, BUILT_IN)
    assert rows(connection)["runs"] == []


def test_a_failed_run_is_known_and_never_served(
    connection: psycopg.Connection, results: PostgresResults, source: Path, tmp_path: Path
) -> None:
    source.write_text("!")
    run = reserve_run(tmp_path / "home", source)
    execute(run, source)
    assert ingest_run(run, results, BUILT_IN).status == "failed"
    assert connection.execute("select status from runs").fetchall() == [("failed",)]
    source.write_text("abc")
    fine = reserve_run(tmp_path / "home", source)
    execute(fine, source)
    ingest_run(fine, results, BUILT_IN)
    assert served_scenes(connection) == 3
    source.write_text("!")
    execute(run, source, force=True)
    ingest_run(run, results, BUILT_IN)
    assert served_scenes(connection) == 3


def served_scenes(connection: psycopg.Connection) -> int:
    return len(Serving(connection).artifacts(FILM, artifact_types=["scene"]).artifacts)


def test_a_run_is_known_from_its_start_and_its_end_is_told(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    def status() -> object:
        return connection.execute("select status, finished_at is null from runs").fetchone()

    results.begin(run.head)
    assert status() == ("running", True)
    results.end(run.refold(None))
    assert status() == ("incomplete", False), "its artifacts were not taken in"
    results.begin(run.head)
    assert status() == ("running", True)
    assert not ingest_run(run, results, BUILT_IN).is_replay
    assert status() == ("completed", False)
    results.begin(run.head)
    assert status() == ("completed", False), "what was taken in is served meanwhile"


def test_every_artifact_comes_in_a_whole_envelope(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    columns = ", ".join(Envelope.model_fields)
    found = connection.execute(f"select {columns} from artifacts").fetchall()
    assert len(found) == 6
    assert not [row for row in found if any(value in (None, "") for value in row)]
    first = Serving(connection).artifacts(FILM, artifact_types=["scene"]).artifacts[0]
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
def test_the_database_itself_keeps_its_promises(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun, statement: str
) -> None:
    ingest_run(run, results, BUILT_IN)
    with pytest.raises(psycopg.IntegrityError):
        connection.execute(statement)
