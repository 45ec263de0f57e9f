"""Legacy artifacts are served where no run has artifacts, and are always labelled."""

import json
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.answers import DataSource
from filmgate.core.envelope import LegacyArtifact
from filmgate.core.errors import FilmgateError, Invalid, NotFound, UsageError
from filmgate.core.ids import AssetId
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.core.selection import Selection
from filmgate.core.states import RunState
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.connection import connected
from filmgate.db.legacy import LegacyArtifacts
from filmgate.db.selections import Selections
from filmgate.sync.legacy import import_legacy
from support.archive import (
    ingest_artifacts,
    object_payload,
    ocr_payload,
    scene_payload,
    transcript_payload,
)
from support.concurrency import run_concurrently
from support.database import FILM, ON_THE_DATABASE

TYPES = {
    "scene": scene_payload(),
    "transcript.segment": transcript_payload("the gate"),
    "object.detection": object_payload("car"),
}
kinds = st.sets(st.sampled_from(sorted(TYPES)))


@given(runs=kinds, legacy=kinds)
@ON_THE_DATABASE
def test_answers_are_labelled_with_their_data_source(
    connection: psycopg.Connection, serving: ArtifactQueries, runs: set[str], legacy: set[str]
) -> None:
    with connection.transaction(force_rollback=True):
        store = LegacyArtifacts(connection)
        for name in legacy:
            store.replace(FILM, name, [(5, 6, TYPES[name])], "old.csv")
        if runs:
            ingest_artifacts(connection, {name: [(7, 8, TYPES[name])] for name in runs})
        if not runs and not legacy:
            with pytest.raises(NotFound, match="asset 'film' is not in the database"):
                Selections(connection).snapshot(FILM)
            return
        sources = [DataSource.ARTIFACT] * bool(runs) + [DataSource.LEGACY] * bool(legacy)
        assert Selections(connection).snapshot(FILM).data_sources == tuple(sources)
        for kind in (JumpKind.SCENE, JumpKind.TRANSCRIPT, JumpKind.OBJECT):
            name = kind.artifact_type
            if name not in runs | legacy:
                with pytest.raises(NotFound):
                    serving.jump(FILM, kind, Direction.NEXT, 0)
                continue
            answer = serving.jump(FILM, kind, Direction.NEXT, 0)
            assert (answer.data_source is DataSource.LEGACY) == (name not in runs)
            assert isinstance(answer.artifact, LegacyArtifact) == (name not in runs)
            assert answer.artifact.span_start_ms == (7 if name in runs else 5)
            assert answer.runs == ({name: "r1"} if name in runs else {})
        listed = serving.artifacts(FILM)
        assert {a.artifact_type: isinstance(a, LegacyArtifact) for a in listed.artifacts} == {
            name: name not in runs for name in runs | legacy
        }
        assert (listed.data_source is DataSource.LEGACY) == bool(legacy - runs)
        pages = [listed.artifacts[0]]
        cursor = serving.artifacts(FILM, limit=1).next_cursor
        while cursor:
            page = serving.artifacts(FILM, limit=1, cursor=cursor)
            pages += page.artifacts
            cursor = page.next_cursor
        assert tuple(pages) == listed.artifacts
        found = serving.find(FILM, "gate", source=TextSource.ALL)
        has_words = "transcript.segment" in runs | legacy
        assert len(found.hits) == has_words
        if has_words:
            is_legacy = "transcript.segment" not in runs
            assert (found.data_source is DataSource.LEGACY) == is_legacy
            assert found.hits[0].snippet == "the gate"


@pytest.fixture
def imported(
    connection: psycopg.Connection, serving: ArtifactQueries, tmp_path: Path
) -> ArtifactQueries:
    """Import the files of a manifest without a run."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "scenes.jsonl").write_text(
        '{"id": 2, "start_ms": 1000, "end_ms": 2000, "method": "cut"}\n'
        '{"id": 1, "start_ms": 0, "end_ms": 1000, "method": "start"}\n'
    )
    (folder / "transcript.csv").write_text(
        "episode_id,start_s,end_s,text,confidence\n"
        'film,0.5,1.0005,"the gate, checked",0.9\n'
        "film,2,3,12,\n"
    )
    (folder / "notes.txt").write_text("nothing")
    receipts = import_legacy(connection, FILM, str(folder), None)
    assert [(r.artifact_type, r.artifacts) for r in receipts] == [
        ("scene", 2),
        ("transcript.segment", 2),
    ]
    return serving


def test_files_of_a_manifest_without_a_run_are_served_sorted_by_time(
    imported: ArtifactQueries,
) -> None:
    page = imported.artifacts(FILM, limit=3)
    assert page.data_source is DataSource.LEGACY
    rest = imported.artifacts(FILM, limit=3, cursor=page.next_cursor)
    served = [
        (a.artifact_type, a.span_start_ms, a.span_end_ms, a.payload)
        for a in (*page.artifacts, *rest.artifacts)
    ]
    assert served == [
        ("scene", 0, 1000, {"method": "start"}),
        ("transcript.segment", 500, 1001, {"text": "the gate, checked", "confidence": 0.9}),
        ("scene", 1000, 2000, {"method": "cut"}),
        ("transcript.segment", 2000, 3000, {"text": "12"}),
    ]
    (hit,) = imported.find(FILM, "gates", source=TextSource.ALL).hits
    assert [hit.snippet[a:b] for a, b in hit.highlights] == ["gate"]
    sure = JumpFilters(text="checked", min_confidence=0.5)
    landed = imported.jump(FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 0, sure).artifact
    assert landed.artifact_id == "film:legacy:transcript.segment:0"
    with pytest.raises(NotFound):
        imported.jump(FILM, JumpKind.TRANSCRIPT, Direction.NEXT, 500, sure)


def test_a_request_for_a_run_or_profile_is_not_answered_with_legacy_artifacts(
    imported: ArtifactQueries,
) -> None:
    chosen = Selection.of(profile="fast")
    with pytest.raises(NotFound):
        imported.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0, selection=chosen)
    assert imported.find(FILM, "gate", selection=chosen).hits == ()


def test_a_second_import_replaces_the_first(
    connection: psycopg.Connection, imported: ArtifactQueries, tmp_path: Path
) -> None:
    (tmp_path / "scenes.jsonl").write_text('{"timestamp_ms": 7}\n')
    import_legacy(connection, FILM, str(tmp_path / "scenes.jsonl"), None)
    page = imported.artifacts(FILM, artifact_types=["scene"])
    assert [(a.span_start_ms, a.span_end_ms) for a in page.artifacts] == [(7, 7)]


def test_cells_of_text_columns_are_stored_as_written(
    connection: psycopg.Connection, serving: ArtifactQueries, tmp_path: Path
) -> None:
    file = tmp_path / "transcript.csv"
    file.write_text("start_ms,text,confidence,note\n1,3.10,0.50,true\n2,1e5,1,x\n")
    import_legacy(connection, FILM, str(file), None)
    assert [a.payload for a in serving.artifacts(FILM).artifacts] == [
        {"text": "3.10", "confidence": 0.5, "note": "true"},
        {"text": "1e5", "confidence": 1, "note": "x"},
    ]


def test_non_finite_numbers_stay_text_and_blank_lines_are_skipped(
    connection: psycopg.Connection, serving: ArtifactQueries, tmp_path: Path
) -> None:
    (tmp_path / "scenes.csv").write_text("start_ms,title\n1,Infinity\n2,1e999\n")
    (tmp_path / "ocr.jsonl").write_text('{"start_ms": 3, "text": "a\\\\u0000b"}\n\n')
    import_legacy(connection, FILM, str(tmp_path), None)
    payloads = [a.payload for a in serving.artifacts(FILM).artifacts]
    assert payloads == [{"title": "Infinity"}, {"title": "1e999"}, {"text": "a\\u0000b"}]


def test_of_concurrent_imports_exactly_one_remains_complete(
    database_url: str, connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    def import_rows(number: int) -> None:
        with connected(database_url) as own:
            rows = [(n, n + 1, scene_payload(number)) for n in range(50)]
            LegacyArtifacts(own).replace(FILM, "scene", rows, f"{number}.csv")

    assert run_concurrently(import_rows, 6) == []
    left = serving.artifacts(FILM).artifacts
    assert (len(left), len({each.payload["scene_index"] for each in left})) == (50, 1)


@pytest.mark.parametrize("direction", Direction)
def test_find_merges_artifacts_of_runs_and_legacy_artifacts_across_pages(
    connection: psycopg.Connection, serving: ArtifactQueries, direction: Direction
) -> None:
    ingest_artifacts(
        connection,
        {"transcript.segment": [(n, n + 1, transcript_payload("gate")) for n in (0, 20, 40)]},
    )
    old = [(n, n + 1, ocr_payload("gate")) for n in (10, 30, 50)]
    LegacyArtifacts(connection).replace(FILM, "ocr.text", old, "old.csv")
    found: list[int] = []
    cursor = None
    while True:
        page = serving.find(
            FILM, "gate", source=TextSource.ALL, direction=direction, limit=2, cursor=cursor
        )
        found += [hit.artifact.span_start_ms for hit in page.hits]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == sorted(range(0, 60, 10), reverse=direction is Direction.PREV)


def test_two_files_of_one_type_in_a_folder_are_refused(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    for name in ("faces", "face_detections"):
        (tmp_path / f"{name}.jsonl").write_text('{"start_ms": 1}\n')
    with pytest.raises(Invalid, match="two files"):
        import_legacy(connection, FILM, str(tmp_path), None)


def test_an_empty_file_is_refused_and_replaces_nothing(
    connection: psycopg.Connection, imported: ArtifactQueries, tmp_path: Path
) -> None:
    (tmp_path / "scenes.jsonl").write_text("")
    with pytest.raises(Invalid, match=r"scenes\.jsonl"):
        import_legacy(connection, FILM, str(tmp_path / "scenes.jsonl"), None)
    assert len(imported.artifacts(FILM, artifact_types=["scene"]).artifacts) == 2


def test_a_table_of_an_older_product_is_read_and_not_changed(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    connection.execute(
        "create schema old; create table old.objects"
        " (id int, video_id text, start_ms int, end_ms int, label text);"
        "insert into old.objects values (1, 'film', 5, 6, 'car'), (2, 'other', 0, 1, 'dog')"
    )
    (receipt,) = import_legacy(connection, FILM, "table:old.objects", None)
    assert (receipt.artifact_type, receipt.artifacts) == ("object.detection", 1)
    answer = serving.jump(FILM, JumpKind.OBJECT, Direction.NEXT, 0, JumpFilters(label="car"))
    assert answer.artifact.payload == {"label": "car"}
    assert connection.execute("select count(*) from old.objects").fetchone() == (2,)
    with pytest.raises(NotFound, match=r"table old\.nope does not exist"):
        import_legacy(connection, FILM, "table:old.nope", "scene")
    with pytest.raises(NotFound, match=r"table old\.objects has no row of 'nope'"):
        import_legacy(connection, AssetId("nope"), "table:old.objects", None)
    connection.execute('create table old."My Faces" (video_id text, start_ms int)')
    connection.execute("insert into old.\"My Faces\" values ('film', 3)")
    (odd,) = import_legacy(connection, FILM, 'table:old."My Faces"', "face.detection")
    assert odd.artifacts == 1
    connection.execute("create table old.scenes (start_ms int)")
    with pytest.raises(Invalid, match=r"table old\.scenes has no column with the asset's id"):
        import_legacy(connection, FILM, "table:old.scenes", None)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("not json", "JSON, in UTF-8"),
        ("[1]", "a JSON object"),
        ('{"text": "x"}', "one of span_start_ms"),
        ('{"start_ms": "soon"}', "a number in start_ms"),
        ('{"start_ms": 5, "end_ms": 1}', "0 <= start <= end"),
        ('{"start_ms": -1}', "0 <= start <= end"),
        ('{"start_s": 1e300}', "a number in start_s"),
        ('{"start_s": "1e999999999"}', "a number in start_s"),
        ('{"start_s": [1]}', "a number in start_s"),
        ('{"start_s": true}', "a number in start_s"),
        ('{"start_ms": NaN}', "a number in start_ms"),
        ('{"start_ms": "1e-999999999"}', "a number in start_ms"),
        ('{"start_ms": 1, "score": NaN}', "values that are valid in JSON"),
        ('{"start_ms": 1, "text": "\\ud800"}', "values that are valid in JSON"),
        ('{"start_ms": 1, "text": "\\u0000"}', "text without NUL characters"),
        ("[" * 100_000, "JSON, in UTF-8"),
        ('{"start_ms": 1, "deep": ' + "[" * 200 + "]" * 200 + "}", "values at most 50 levels deep"),
    ],
)
def test_an_invalid_row_is_reported_by_number_and_nothing_is_imported(
    connection: psycopg.Connection, tmp_path: Path, row: str, expected: str
) -> None:
    file = tmp_path / "scenes.jsonl"
    file.write_text(json.dumps({"start_ms": 1}) + "\n" + row + "\n")
    with pytest.raises(Invalid, match=r"row 2 of scenes.jsonl") as caught:
        import_legacy(connection, FILM, str(file), None)
    assert expected in (caught.value.expected or "")
    assert connection.execute("select count(*) from legacy_artifacts").fetchone() == (0,)


@pytest.mark.parametrize(
    "cells",
    [b"start_ms,text\n1,a\n2,b,c\n", b"start_ms,text\n1,\xe9\n", b"start_ms\n1\n" + b"9" * 140_000],
)
def test_an_invalid_csv_file_is_reported_by_row(
    connection: psycopg.Connection, tmp_path: Path, cells: bytes
) -> None:
    (tmp_path / "scenes.csv").write_bytes(cells)
    with pytest.raises(Invalid, match=r"row [12] of scenes.csv is invalid"):
        import_legacy(connection, FILM, str(tmp_path / "scenes.csv"), None)


def test_a_confidence_that_is_not_a_number_never_matches_a_minimum(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    rows = [(1, 2, object_payload("car") | {"confidence": "high"}), (3, 4, object_payload("car"))]
    LegacyArtifacts(connection).replace(FILM, "object.detection", rows, "old.csv")
    sure = JumpFilters(min_confidence=0.1)
    answer = serving.jump(FILM, JumpKind.OBJECT, Direction.NEXT, 0, sure)
    assert answer.artifact.span_start_ms == 3


def test_a_selection_without_a_matching_run_is_not_answered_with_legacy_artifacts(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    LegacyArtifacts(connection).replace(FILM, "scene", [(1, 2, scene_payload())], "old.csv")
    artifacts = {"scene": [(5, 6, scene_payload())]}
    ingest_artifacts(connection, artifacts)
    Selections(connection).select(FILM, "scene", Selection.of(run_id="r1"))
    ingest_artifacts(connection, artifacts, revision=2, status=RunState.FAILED)
    with pytest.raises(NotFound, match="has no 'scene' artifacts"):
        serving.jump(FILM, JumpKind.SCENE, Direction.NEXT, 0)
    assert serving.artifacts(FILM, artifact_types=["scene"]).artifacts == ()


@pytest.mark.parametrize(
    ("name", "error"),
    [("nope", NotFound), ("strange.jsonl", UsageError), ("empty", NotFound)],
)
def test_a_source_without_legacy_artifacts_is_refused(
    connection: psycopg.Connection, tmp_path: Path, name: str, error: type[FilmgateError]
) -> None:
    (tmp_path / "strange.jsonl").write_text("{}\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(error):
        import_legacy(connection, AssetId("film"), str(tmp_path / name), None)
