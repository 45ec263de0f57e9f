"""What is ingested is served: once, whole, and as the questions define it."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filmgate.core.digest import sha256_hex
from filmgate.core.envelope import Envelope
from filmgate.core.errors import Conflict, Held, Invalid, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.payloads.registry import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.questions import Direction, JumpKind
from filmgate.db.connection import connected
from filmgate.db.result_store import PostgresResults
from filmgate.store.run_directory import FolderRun
from filmgate.sync.ingest import ingest_run
from support.runs import LETTERS, ME, MOMENT, SCENES, WORDS, execute, reserve_run, segments_of

FILM = AssetId("film")
TABLES = (
    "assets",
    "runs",
    "artifact_files",
    "artifact_rows",
    "transcript_fts",
    "scene_ranges",
    "pipeline.inbox",
)
DATABASE_AND_HYPOTHESIS = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connected(database_url) as opened:
        yield opened


@pytest.fixture
def results(connection: psycopg.Connection) -> PostgresResults:
    return PostgresResults(connection)


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
            receipts.append(ingest_run(run, PostgresResults(own), BUILT_IN))

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
        "pipeline.inbox": 1,
    }


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
        receipt = results.ingest(foreign, sha256_hex(foreign.to_bytes()), ())
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
    results.ingest(older, sha256_hex(older.to_bytes()), ())
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
                ingest_run(run, PostgresResults(own), BUILT_IN)
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
    assert len(results.timeline(FILM, JumpKind.SCENE)) == 3
    connection.execute("update runs set status = 'failed'")
    assert results.timeline(FILM, JumpKind.SCENE) == ()
    with pytest.raises(NotFound, match="nothing of kind"):
        results.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0)


def test_every_artifact_comes_in_a_whole_envelope(
    connection: psycopg.Connection, results: PostgresResults, run: FolderRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    columns = ", ".join(Envelope.model_fields)
    found = connection.execute(f"select {columns} from artifacts").fetchall()
    assert len(found) == 6
    assert not [row for row in found if any(value in (None, "") for value in row)]
    first = results.timeline(FILM, JumpKind.SCENE)[0]
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


def store_scenes(
    connection: psycopg.Connection, results: PostgresResults, starts: list[int]
) -> None:
    """Put scenes with these starts in the place of the run's own."""
    connection.execute("delete from artifact_rows")
    row = connection.execute("select asset_key, run_key from runs").fetchone()
    assert row is not None
    type_key = connection.execute(
        "select type_key from artifact_types where artifact_type = 'scene'"
    ).fetchone()
    assert type_key is not None
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into artifact_rows values (%s, %s, %s, %s, %s, %s, '{}')",
            [
                (*row, *type_key, ordinal, start, start + 10)
                for ordinal, start in enumerate(sorted(starts))
            ],
        )


@given(
    starts=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    from_ms=st.integers(0, 32),
    direction=st.sampled_from(Direction),
)
@DATABASE_AND_HYPOTHESIS
def test_a_jump_lands_where_a_look_at_all_of_them_says(
    connection: psycopg.Connection,
    results: PostgresResults,
    run: FolderRun,
    starts: list[int],
    from_ms: int,
    direction: Direction,
) -> None:
    ingest_run(run, results, BUILT_IN)
    store_scenes(connection, results, starts)
    placed = list(enumerate(sorted(starts)))
    if direction is Direction.NEXT:
        wanted = min(((s, o) for o, s in placed if s > from_ms), default=None)
    else:
        wanted = min(((-s, o) for o, s in placed if s < from_ms), default=None)
    if wanted is None:
        with pytest.raises(NotFound, match="no scene starts"):
            results.jump(FILM, JumpKind.SCENE, direction, from_ms)
    else:
        landed = results.jump(FILM, JumpKind.SCENE, direction, from_ms).artifact
        ordinal = int(landed.artifact_id.rpartition(":")[2])
        assert (landed.span_start_ms, ordinal) == (abs(wanted[0]), wanted[1])


def test_next_and_prev_undo_each_other_on_adjoining_spans(
    results: PostgresResults, run: FolderRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    there = results.jump(FILM, JumpKind.SCENE, Direction.NEXT, 1000).artifact.span_start_ms
    back = results.jump(FILM, JumpKind.SCENE, Direction.PREV, there).artifact.span_start_ms
    assert (there, back) == (2000, 1000)


SPOKEN = [
    "The rocket waits on its pad",
    "nobody moves on",
    "Rockets & gates: the gate is checked",
    "שלום the compiler",
]


@pytest.fixture
def spoken(results: PostgresResults, tmp_path: Path, source: Path) -> PostgresResults:
    """A run in which things are said."""

    @stage(makes=[WORDS])
    def speak(bench: Bench, settings: Settings) -> Outcome:
        bench.write_artifacts(WORDS, segments_of(SPOKEN))
        return Done(producer=ME)

    plan = Plan(pipeline="spoken", stages=(speak,))
    run = reserve_run(tmp_path / "spoken", source, plan=plan)
    execute(run, source, plan=plan)
    ingest_run(run, results, BUILT_IN)
    return results


def found(
    results: PostgresResults,
    query: str,
    direction: Direction = Direction.NEXT,
    from_ms: int | None = None,
) -> list[int]:
    answer = results.find(FILM, query, direction=direction, from_ms=from_ms, limit=20)
    return [hit.artifact.span_start_ms for hit in answer.hits]


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ("rocket", [0, 2000]),
        ('"rocket waits"', [0]),
        ("compiler or moves", [1000, 3000]),
        ("rocket -gate", [0]),
        ("שלום", [3000]),
        ("elephant", []),
        ("", []),
    ],
)
def test_words_are_found_in_order_of_time(
    spoken: PostgresResults, query: str, starts: list[int]
) -> None:
    assert found(spoken, query) == starts


def test_find_looks_forward_and_back_from_where_one_stands(spoken: PostgresResults) -> None:
    assert found(spoken, "rocket", Direction.NEXT, 0) == [2000]
    assert found(spoken, "rocket", Direction.PREV, 2000) == [0]
    assert found(spoken, "rocket", Direction.PREV) == [2000, 0]


def test_matches_are_marked_in_the_text_as_it_was_said(spoken: PostgresResults) -> None:
    answer = spoken.find(FILM, "gate", direction=Direction.NEXT, from_ms=None, limit=20)
    (hit,) = answer.hits
    assert hit.snippet == SPOKEN[2]
    assert [hit.snippet[start:end] for start, end in hit.highlights] == ["gates", "gate"]
    assert answer.runs == {"transcript.segment": hit.artifact.run_id}


def test_an_answer_says_when_there_is_more(spoken: PostgresResults) -> None:
    answer = spoken.find(FILM, "rocket", direction=Direction.NEXT, from_ms=None, limit=1)
    assert (len(answer.hits), answer.is_cut) == (1, True)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@given(query=ANY_TEXT | st.text("&|!:*()<->'\"\\ ab", max_size=80))
@DATABASE_AND_HYPOTHESIS
def test_any_text_is_a_safe_query(spoken: PostgresResults, query: str) -> None:
    found(spoken, query)


def test_a_very_long_query_is_a_query(spoken: PostgresResults) -> None:
    assert found(spoken, "rocket or " * 1000 + "rocket") == [0, 2000]


def test_an_unknown_asset_is_told_by_name(results: PostgresResults) -> None:
    with pytest.raises(NotFound, match="no asset 'nope'"):
        results.find(AssetId("nope"), "x", direction=Direction.NEXT, from_ms=None, limit=1)
