"""The contract of syncing: a manifest in a store becomes rows once, or a reason why not."""

import io
import json
import random
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import psycopg
import pytest
from psycopg.rows import dict_row

from filmgate.core.answers import SyncOutcome
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Conflict, NotPermitted, Unavailable
from filmgate.core.intake import MOST_ATTEMPTS, Notice, Refusal, retry_after
from filmgate.core.objects import ObjectStore
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.publishing import Announcement, Origin
from filmgate.db.artifacts import Artifacts
from filmgate.db.connection import connected
from filmgate.db.deliveries import Deliveries, receipts, status
from filmgate.db.outbox import Outbox
from filmgate.db.result_store import PostgresResults
from filmgate.store.addresses import S3Options, open_store
from filmgate.store.run_directory import FolderRun
from filmgate.sync.archive import SyncArchive
from filmgate.sync.consumer import Consumer, Stage
from filmgate.sync.ingest import ingest_run
from filmgate.sync.line import Line
from filmgate.sync.publish import publish_run
from filmgate.sync.screenalytics import SyncScreenalytics
from support.faulty import Fault, FaultyStore
from support.published import lay, manifest_for, run_files
from support.runs import MOMENT, execute, reserve_run

EPISODE = "show-s01e02"
PRODUCT = ("screenalytics.runs", "screenalytics.run_artifacts", "screenalytics.person_metrics")
QUEUE = ("pipeline.deliveries", "pipeline.positions", "pipeline.inbox")
ARCHIVE = ("assets", "runs", "artifact_files", "artifact_rows", "pipeline.stage_ends", *PRODUCT)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "store"), S3Options(), make=True)


def outcomes(
    connection: psycopg.Connection,
    store: ObjectStore,
    *,
    stage: Stage[Any] | None = None,
    retry: bool = False,
    concurrency: int = 4,
) -> list[SyncOutcome]:
    """One round over a store."""
    chosen = stage or SyncScreenalytics()
    told = {"concurrency": concurrency, "lease_s": 5}
    with Consumer(connection, chosen, lambda _: store, **told) as consumer:
        line = Line.of_store(connection, store, Deliveries(connection, chosen.name), consumer)
        if retry:
            line.retry()
        return [outcome for _, outcome in line.run() if outcome is not None]


def refusal_of(connection: psycopg.Connection, store: ObjectStore) -> Refusal:
    """Why the only manifest was refused; nothing but the reason was written."""
    before = rows(connection)
    (outcome,) = outcomes(connection, store)
    assert outcome.receipt is None
    assert outcome.refusal is not None
    assert rows(connection) == before
    found = connection.execute(
        "select error_details from pipeline.run_stages"
        " where stage = 'sync_screenalytics' and status = 'FAILED' and manifest_key = %s",
        [outcome.manifest_key],
    ).fetchall()
    assert found == [(outcome.refusal.model_dump(mode="json"),)]
    return outcome.refusal


def rows(connection: psycopg.Connection, tables: tuple[str, ...] = PRODUCT) -> dict[str, list[str]]:
    return {
        table: sorted(str(row) for row in connection.execute(f"select * from {table}"))
        for table in tables
    }


def people(connection: psycopg.Connection) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        query = "select * from screenalytics.person_metrics order by asset_id, run_id, identity_id"
        return cursor.execute(query).fetchall()


def test_a_completed_manifest_becomes_rows_that_name_where_they_come_from(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    key = lay(store, asset="rhobh-s05e02")
    (outcome,) = outcomes(connection, store)
    assert outcome.receipt is not None
    assert outcome.receipt.counts == dict(zip(PRODUCT, (1, 3, 2), strict=True))
    with connection.cursor(row_factory=dict_row) as cursor:
        (run,) = cursor.execute("select * from screenalytics.runs").fetchall()
        files = cursor.execute("select * from screenalytics.run_artifacts").fetchall()
    assert key == "runs/rhobh/s05/e02/r1/manifest.json"
    told = (run["source"], run["manifest_key"], run["status"], run["schema_version"])
    assert told == (store.url, key, "completed", 1)
    assert {each["artifact_key"] for each in files} == {"scenes", "screentime", "notes"}
    first, second = people(connection)
    assert (first["onscreen_ms"], first["face_visible_ms"], first["body_only_ms"]) == (
        1000,
        700,
        200,
    )
    assert (first["artifact_key"], first["schema_version"]) == ("screentime", 1)
    assert second["onscreen_ms"] == 1001


def test_what_was_not_measured_is_null_and_never_zero(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)
    outcomes(connection, store)
    assert {(each["speaking_ms"], each["confessional_ms"]) for each in people(connection)} == {
        (None, 0)
    }


def test_the_same_store_makes_the_same_rows_in_another_database(
    connection: psycopg.Connection, module_database_url: str, store: ObjectStore
) -> None:
    for number in range(5):
        lay(store, asset=f"film{number}")
    outcomes(connection, store, concurrency=1)
    with connected(module_database_url) as other:
        outcomes(other, store, concurrency=5)
        assert rows(other) == rows(connection)


def test_ingested_again_there_is_no_row_more(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)
    outcomes(connection, store)
    once = rows(connection)
    assert outcomes(connection, store) == [], "a key that is listed again"
    connection.execute("update pipeline.deliveries set next_attempt_at = now(), status = 'PENDING'")
    (again,) = outcomes(connection, store)
    assert again.receipt is not None
    assert again.receipt.is_replay
    connection.execute("delete from pipeline.deliveries")
    (found_anew,) = outcomes(connection, store)
    assert found_anew.receipt is not None
    assert found_anew.receipt.is_replay
    assert rows(connection) == once


def test_a_run_in_the_older_layout_is_read_too(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, asset="rhobh-s05e02", place="runs/rhobh-s05e02/r1")
    (outcome,) = outcomes(connection, store)
    assert outcome.receipt is not None


def test_a_run_without_screen_time_has_no_people_and_no_zeros(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    files = {path: data for path, data in run_files().items() if path != "screentime.json"}
    lay(store, files)
    (outcome,) = outcomes(connection, store)
    assert outcome.receipt is not None
    assert people(connection) == []


@pytest.mark.parametrize("path", ["screentime.json", "scenes.jsonl", "notes.json"])
def test_a_file_that_is_missing_is_named_and_looked_for_again(
    connection: psycopg.Connection, store: ObjectStore, path: str
) -> None:
    key = lay(store, leave_out=path)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("missing_artifact", path.rpartition(".")[0])
    assert (refusal.manifest_key, refusal.got, refusal.retryable) == (key, "no file", True)
    assert outcomes(connection, store) == [], "it is not due yet"
    store.create(f"{key.rpartition('/')[0]}/{path}", run_files()[path])
    connection.execute("update pipeline.deliveries set next_attempt_at = now()")
    (healed,) = outcomes(connection, store)
    assert healed.receipt is not None
    found = connection.execute("select status, error_details from pipeline.deliveries").fetchall()
    assert found == [("SUCCESS", None)]


@pytest.mark.parametrize("path", ["screentime.json", "scenes.jsonl", "notes.json"])
def test_a_file_that_is_truncated_is_named(
    connection: psycopg.Connection, store: ObjectStore, path: str
) -> None:
    lay(store, instead={path: run_files()[path][:-1]})
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("digest_mismatch", path.rpartition(".")[0])
    assert refusal.got is not None
    assert refusal.got.startswith(f"{len(run_files()[path]) - 1} bytes")
    assert not refusal.retryable


def test_a_summary_with_other_bytes_is_named(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    altered = run_files()["screentime.json"].replace(b"700", b"701")
    lay(store, instead={"screentime.json": altered})
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("digest_mismatch", "screentime")
    assert refusal.expected != refusal.got
    assert not refusal.retryable


@pytest.mark.parametrize(
    ("was", "now", "pointer"),
    [
        (b'"onscreen_ms":1000', b'"onscreen_ms":999', "/people/0"),
        (b'"body_only_ms":200', b'"body_only_ms":-1', "/people/0/body_only_ms"),
        (b'"body_only_ms":200', b'"body_only_ms":"many"', "/people/0/body_only_ms"),
        (b'"onscreen_ms":1000', b'"onscreen_ms":9' + b"0" * 30, "/people/0/onscreen_ms"),
        (b'"identity_id":"c1"', b'"identity_id":"c0"', ""),
        (b'"speaking_by"', b'"secret":1,"speaking_by"', "/secret"),
        (b'"share":0.1', b'"share":1e999', "/people/0/share"),
        (b'"onscreen_ms":1000', b'"onscreen_ms":"1000"', "/people/0/onscreen_ms"),
        (b'"appearances":2', b'"appearances":true', "/people/0/appearances"),
        (b"]", b"", None),
    ],
)
def test_a_summary_that_breaks_its_contract_is_refused_with_the_place(
    connection: psycopg.Connection, store: ObjectStore, was: bytes, now: bytes, pointer: str | None
) -> None:
    files = run_files()
    assert was in files["screentime.json"]
    files["screentime.json"] = files["screentime.json"].replace(was, now, 1)
    lay(store, files)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_invalid", "screentime")
    assert refusal.json_pointer == pointer
    assert not refusal.retryable


def test_a_summary_of_an_unknown_version_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, screentime_version=2)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_version_unsupported", "screentime")
    assert (refusal.found, refusal.supported) == (2, (1,))


@pytest.mark.parametrize(
    "version",
    [0, 2, 99, "1", 1.0, True, None, "missing", [1], {"a": "\0"}, "\0", "x" * 10**6, 10**30],
)
def test_a_manifest_of_an_unknown_version_is_refused_before_all_else(
    connection: psycopg.Connection, store: ObjectStore, version: Any
) -> None:
    body = manifest_for(run_files()).model_dump(mode="json")
    body |= {"schema_version": version, "run_id": 7, "a field of the future": []}
    if version == "missing":
        del body["schema_version"]
    lay(store, manifest_bytes=json.dumps(body).encode())
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.json_pointer) == ("schema_version_unsupported", "/schema_version")
    is_plain = version is None or (isinstance(version, int | float) and version < 1 << 53)
    if version == "missing" or is_plain:
        assert refusal.found == (None if version == "missing" else version)
    else:
        assert len(str(refusal.found)) <= 501
    assert refusal.supported == (1,)
    assert not refusal.retryable


HOSTILE: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b"\xff\xfe", None),
    (b"[]", ""),
    (b'{"schema_version": 1', None),
    (b"[" * 100_000, None),
    (b'{"schema_version": 1, "run_id": "../../x"}', "/producer"),
    (b'{"schema_version": 1, "schema_version": 1}', "/producer"),
]


@pytest.mark.parametrize(("data", "pointer"), HOSTILE)
def test_what_is_no_manifest_is_refused(
    connection: psycopg.Connection, store: ObjectStore, data: bytes, pointer: str | None
) -> None:
    lay(store, manifest_bytes=data)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_invalid", None)
    assert refusal.json_pointer == pointer


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"run_id": "r2"}, "run_id_mismatch", "/run_id"),
        ({"status": "FAILED"}, "run_not_completed", "/status"),
        ({"producer": ""}, "schema_invalid", "/producer"),
        ({"created_at": "2026-01-02T03:04:05"}, "schema_invalid", "/created_at"),
        ({"config_hash": "md5:0"}, "schema_invalid", "/config_hash"),
        ({"updated_at": "0001-01-01T00:00:00+14:00"}, "schema_invalid", "/updated_at"),
        ({"env": "a\0b"}, "schema_invalid", "/env"),
        ({"revision": 1 << 40}, "schema_invalid", "/revision"),
        ({"revision": "3"}, "schema_invalid", "/revision"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(
    connection: psycopg.Connection,
    store: ObjectStore,
    change: dict[str, Any],
    code: str,
    pointer: str,
) -> None:
    body = manifest_for(run_files()).model_dump(mode="json") | change
    lay(store, manifest_bytes=json.dumps(body).encode())
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.json_pointer) == (code, pointer)


@pytest.mark.parametrize(
    "path", ["../r2/screentime.json", "/etc/passwd", "a/../../x", "./x", "a//x", "x#1"]
)
def test_a_path_that_leaves_the_run_is_refused(
    connection: psycopg.Connection, store: ObjectStore, path: str
) -> None:
    body = manifest_for(run_files()).model_dump(mode="json")
    body["stages"]["make_screentime"]["artifacts"][0]["path"] = path
    lay(store, manifest_bytes=json.dumps(body).encode())
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_invalid", "screentime")
    assert refusal.json_pointer == "/stages/make_screentime/artifacts/0/path"


def test_one_artifact_key_twice_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    body = manifest_for(run_files()).model_dump(mode="json")
    body["stages"]["make_notes"]["artifacts"][0]["key"] = "scenes"
    lay(store, manifest_bytes=json.dumps(body).encode())
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_invalid", "scenes")


def test_the_same_run_with_another_manifest_is_a_conflict(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, asset=EPISODE)
    outcomes(connection, store)
    lay(store, asset=EPISODE, place=f"runs/{EPISODE}/r1", revision=9)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.retryable) == ("manifest_conflict", False)


def test_runs_of_two_producers_under_one_id_stand_side_by_side(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, asset=EPISODE, producer="studio")
    lay(store, asset=EPISODE, producer="lab", place=f"runs/{EPISODE}/r1")
    assert all(each.receipt for each in outcomes(connection, store))
    assert len(people(connection)) == 4


def test_a_manifest_in_the_folder_of_another_asset_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, place="runs/another/r1")
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.json_pointer) == ("run_id_mismatch", "/asset/id")


def test_a_file_of_a_run_that_is_called_like_a_manifest_is_none(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, {**run_files(), "exports/manifest.json": b"{}"})
    assert len(outcomes(connection, store)) == 1


def test_one_bad_manifest_does_not_stop_the_others(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    for number in range(12):
        bad = number % 3 == 0
        lay(store, asset=f"film{number}", manifest_bytes=b"{}" if bad else None)
    found = outcomes(connection, store)
    assert sum(each.receipt is not None for each in found) == 8
    assert len(rows(connection)["screenalytics.runs"]) == 8


def test_a_store_that_is_away_is_tried_again(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)
    faulty = FaultyStore(store, {2: Fault.FAILS}.get)
    (outcome,) = outcomes(connection, faulty)
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("unavailable", True)
    assert outcome.next_attempt_at is not None
    assert [each.receipt is not None for each in outcomes(connection, faulty, retry=True)] == [True]


def test_waits_grow_and_end_and_what_cannot_heal_is_not_tried_again() -> None:
    facts: dict[str, Any] = dict.fromkeys(Refusal.model_fields)
    told = facts | {
        "code": "missing_artifact",
        "message": "x",
        "manifest_key": "k",
        "retryable": True,
    }
    refusal = Refusal(**told)
    waits = [retry_after(refusal, attempt) for attempt in range(1, MOST_ATTEMPTS + 1)]
    assert waits[:3] == [timedelta(seconds=s) for s in (2, 4, 8)]
    assert waits[-2:] == [timedelta(hours=1), None]
    assert retry_after(refusal.model_copy(update={"retryable": False}), 1) is None
    away = refusal.model_copy(update={"code": "unavailable"})
    assert retry_after(away, 1000) == timedelta(hours=1), (
        "a store is waited for as long as it takes"
    )


class Denied(FaultyStore):
    """A store whose keys have run out."""

    def open(self, key: str) -> BinaryIO:
        raise NotPermitted("the keys have run out")


def test_keys_that_have_run_out_are_waited_for(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)
    (outcome,) = outcomes(connection, Denied(store))
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("not_permitted", True)
    make_due(connection)
    assert [each.receipt is not None for each in outcomes(connection, store)] == [True]


def test_a_store_that_is_gone_is_waited_for(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path
) -> None:
    announce(connection, store, "film")
    (tmp_path / "store").rename(tmp_path / "away")
    (outcome,) = drain_outbox(connection, store)
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("no_store", True)
    (tmp_path / "away").rename(tmp_path / "store")
    make_due(connection)
    assert [each.receipt is not None for each in drain_outbox(connection, store)] == [True]


class Cut(FaultyStore):
    """A store that breaks off in the middle of what it sends."""

    def open(self, key: str) -> BinaryIO:
        with super().open(key) as file:
            data = file.read()
        return cast("BinaryIO", Breaking(data[: len(data) // 2]))


class Breaking(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if size is None or size < 0 or len(found) < size:
            raise Unavailable("the connection broke off")
        return found


def test_an_answer_that_breaks_off_is_tried_again(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)
    (outcome,) = outcomes(connection, Cut(store))
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("unavailable", True)
    assert outcomes(connection, store, retry=True)[0].receipt is not None


@pytest.mark.parametrize("is_told", [False, True])
def test_a_try_is_counted_before_it_is_made_and_given_up_after_many_deaths(
    connection: psycopg.Connection, store: ObjectStore, is_told: bool
) -> None:
    key = lay(store, leave_out="screentime.json" if is_told else "")
    if is_told:
        assert len(outcomes(connection, store)) == 1
        store.create(f"{key.rpartition('/')[0]}/screentime.json", run_files()["screentime.json"])
        make_due(connection)

    class Deadly(SyncScreenalytics):
        def fetch(self, read: Any) -> Any:
            raise KeyboardInterrupt

    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            outcomes(connection, store, stage=Deadly())
        make_due(connection)
    (outcome,) = outcomes(connection, store, stage=Deadly())
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.next_attempt_at) == ("consumer_died", None)


def test_what_was_refused_is_looked_at_again_where_its_bytes_changed_or_one_asks(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path
) -> None:
    key = lay(store, manifest_bytes=b"{}")
    assert len(outcomes(connection, store)) == 1
    assert outcomes(connection, store) == []
    assert len(outcomes(connection, store, retry=True)) == 1
    (tmp_path / "store" / key).write_bytes(manifest_for(run_files()).to_bytes())
    (mended,) = outcomes(connection, store)
    assert mended.receipt is not None


def test_a_round_that_was_broken_off_goes_on_where_it_was_and_leaves_no_key_out(
    connection: psycopg.Connection, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filmgate.store.folder_objects.PAGE", 5)
    for number in range(9):
        lay(store, asset=f"film{number}")
    stage = SyncScreenalytics()
    deliveries = Deliveries(connection, stage.name)
    with Consumer(connection, stage, lambda _: store, concurrency=2, lease_s=5) as consumer:
        line = Line.of_store(connection, store, deliveries, consumer)
        next(line.run())  # the first page is noted; then the process ends
    position = deliveries.position(store.url)
    assert position is not None
    assert position.startswith("runs/film1")
    lay(store, asset="film00")  # behind the place where it was
    assert len([each for each in outcomes(connection, store) if each.receipt]) == 10
    assert deliveries.position(store.url) is None


def test_the_outbox_brings_what_was_announced_and_nothing_else(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, asset="unannounced")
    announced = [announce(connection, store, f"film{number}") for number in range(3)]
    found = drain_outbox(connection, store)
    assert sorted(each.manifest_key for each in found) == sorted(announced)
    assert drain_outbox(connection, store) == []
    announce(connection, store, "later")
    assert len(drain_outbox(connection, store)) == 1


def announce(connection: psycopg.Connection, store: ObjectStore, asset: str, **told: Any) -> str:
    key = lay(store, asset=asset, **told)
    manifest = manifest_for(run_files(), asset=asset)
    Outbox(connection).announce(
        Announcement(
            producer="studio",
            asset_id=asset,
            run_id="r1",
            origin=Origin(source=store.url, manifest_key=key),
            manifest_sha256=sha256_hex(manifest.to_bytes()),
        )
    )
    return key


def drain_outbox(connection: psycopg.Connection, store: ObjectStore) -> list[SyncOutcome]:
    stage = SyncScreenalytics()
    with Consumer(connection, stage, lambda _: store, concurrency=2, lease_s=5) as consumer:
        deliveries = Deliveries(connection, stage.name)
        line = Line.of_outbox(connection, connection, deliveries, consumer, "outbox")
        return [outcome for _, outcome in line.run() if outcome is not None]


def test_a_manifest_that_is_not_the_one_announced_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    other = manifest_for(run_files(), asset="film", revision=4)
    announce(connection, store, "film", manifest_bytes=other.to_bytes())
    (outcome,) = drain_outbox(connection, store)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch"


def test_what_was_found_first_is_held_against_what_is_announced_then(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    deliveries = Deliveries(connection, "sync_screenalytics")
    other = manifest_for(run_files(), asset="film", revision=4)
    key = "runs/film/r1/manifest.json"
    deliveries.notice([Notice(origin=Origin(source=store.url, manifest_key=key), mark="x")])
    announce(connection, store, "film", manifest_bytes=other.to_bytes())
    (outcome,) = drain_outbox(connection, store)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch"


def test_an_overwritten_manifest_is_noticed_whoever_brought_it_first(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path
) -> None:
    key = announce(connection, store, "film")
    drain_outbox(connection, store)
    assert outcomes(connection, store) == []
    other = manifest_for(run_files(), asset="film", revision=9)
    (tmp_path / "store" / key).write_bytes(other.to_bytes())
    (outcome,) = outcomes(connection, store)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch"


def test_an_outbox_that_was_made_anew_is_read_from_its_beginning(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    for number in range(3):
        announce(connection, store, f"film{number}")
    drain_outbox(connection, store)
    connection.execute("truncate pipeline.outbox restart identity")
    announce(connection, store, "another")
    assert [each.receipt is not None for each in drain_outbox(connection, store)] == [True]


def test_an_outbox_is_not_held_up_by_what_somebody_else_found(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    """Who follows the outbox has no keys for other stores, perhaps."""
    deliveries = Deliveries(connection, "sync_screenalytics")
    elsewhere = Origin(source="s3://elsewhere", manifest_key="runs/x/r1/manifest.json")
    deliveries.notice([Notice(origin=elsewhere, mark="x")])
    announce(connection, store, "film")
    assert len(drain_outbox(connection, store)) == 1


@pytest.mark.parametrize("stage", [SyncScreenalytics(), SyncArchive(BUILT_IN)])
def test_a_dry_run_writes_nothing_and_holds_nobody_up(
    connection: psycopg.Connection, database_url: str, store: ObjectStore, stage: Stage[Any]
) -> None:
    lay(store, asset="missing", leave_out="screentime.json")
    assert len(outcomes(connection, store, stage=stage)) == 1
    lay(store)
    lay(store, asset="bad", manifest_bytes=b"{}")
    tables = (*ARCHIVE, "artifact_types", *QUEUE)
    before = rows(connection, tables)
    with Consumer(connection, stage, lambda _: store, concurrency=2, lease_s=5) as consumer:
        deliveries = Deliveries(connection, stage.name)
        line = Line.of_store(connection, store, deliveries, consumer)
        found = [each for _, each in line.rehearse(retry=True) if each]
        assert rows(connection, tables) == before
        codes = sorted(each.refusal.code for each in found if each.refusal)
        assert codes == ["missing_artifact", "schema_version_unsupported"]
        assert sum(each.receipt is not None for each in found) == 1
        rehearsal = line.rehearse(retry=False)
        next(rehearsal)
        with connected(database_url) as other:
            assert len(outcomes(other, store, stage=stage)) == 2
        list(rehearsal)


def test_what_is_noticed_anew_is_not_theirs_any_more_who_claimed_it_before(
    connection: psycopg.Connection, database_url: str, store: ObjectStore
) -> None:
    deliveries = Deliveries(connection, "sync_screenalytics")
    origin = Origin(source=store.url, manifest_key="runs/film/r1/manifest.json")
    deliveries.notice([Notice(origin=origin, mark="old")])
    (before,) = deliveries.claim(1, store.url, lease_s=5, until=None)
    deliveries.notice([Notice(origin=origin, mark="new")])
    (after,) = deliveries.claim(1, store.url, lease_s=5, until=None)
    assert before.attempt == after.attempt == 1
    with connection.transaction():
        assert deliveries.hold([before]) == set()
        assert deliveries.hold([after]) == {origin}


def test_what_fails_is_tried_once_a_round(
    connection: psycopg.Connection, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the time for the next try comes before the round is over."""
    monkeypatch.setattr("filmgate.db.deliveries.FIRST_RETRY_S", 0)
    monkeypatch.setattr("filmgate.core.intake.FIRST_RETRY_S", 0)
    for number in range(6):
        lay(store, asset=f"film{number}", leave_out="screentime.json")
    assert len(outcomes(connection, store, concurrency=2)) == 6
    assert len(outcomes(connection, store, concurrency=2)) == 6


def test_two_feeds_that_notice_the_same_in_other_orders_do_not_deadlock(
    connection: psycopg.Connection, database_url: str
) -> None:
    names = [f"runs/film{number}/r1/manifest.json" for number in range(500)]
    faults: list[Exception] = []

    def note(keys: list[str], mark: str | None) -> None:
        with connected(database_url) as own:
            deliveries = Deliveries(own, "sync_screenalytics")
            for turn in range(5):
                notices = [
                    Notice(
                        origin=Origin(source=f"s3://bucket{turn}", manifest_key=key),
                        mark=mark,
                        announced_sha256=None if mark else "a" * 64,
                    )
                    for key in keys
                ]
                try:
                    with own.transaction():
                        deliveries.notice(notices)
                except psycopg.Error as error:
                    faults.append(error)

    threads = [
        threading.Thread(target=note, args=(names, "x")),
        threading.Thread(target=note, args=(names[::-1], None)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_announced_and_found_in_the_store_it_is_taken_in_once(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    announce(connection, store, "film")
    assert len(drain_outbox(connection, store)) == 1
    assert outcomes(connection, store) == []
    counted = connection.execute("select count(*) from pipeline.inbox").fetchone()
    assert counted == (1,)


def test_several_consumers_share_the_work_and_none_waits_for_another(
    connection: psycopg.Connection, database_url: str, store: ObjectStore
) -> None:
    for number in range(30):
        lay(store, asset=f"film{number}")
    shares: list[int] = []

    def consume() -> None:
        with connected(database_url) as own:
            shares.append(len([each for each in outcomes(own, store) if each.receipt]))

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(shares) == 30
    assert len(rows(connection)["screenalytics.runs"]) == 30


def test_a_delivery_that_somebody_is_at_is_skipped(
    connection: psycopg.Connection, database_url: str, store: ObjectStore
) -> None:
    lay(store)
    deliveries = Deliveries(connection, "sync_screenalytics")
    origin = Origin(source=store.url, manifest_key="runs/film/r1/manifest.json")
    deliveries.notice([Notice(origin=origin, mark="x")])
    with connected(database_url) as other:
        theirs = Deliveries(other, "sync_screenalytics")
        (claimed,) = theirs.claim(10, store.url, lease_s=5, until=None)
        with other.transaction():
            assert theirs.hold([claimed])
            make_due(connection)
            assert deliveries.claim(10, store.url, lease_s=5, until=None) == []
            assert outcomes(connection, store) == []
    make_due(connection)
    assert len(outcomes(connection, store)) == 1


def make_due(connection: psycopg.Connection) -> None:
    """As if the time of all that is not done with had come, but for what somebody is at."""
    connection.execute(
        "update pipeline.deliveries set next_attempt_at = now() where ctid in ("
        " select ctid from pipeline.deliveries where next_attempt_at is not null"
        " for update skip locked)"
    )


def test_a_consumer_that_dies_in_its_transaction_leaves_nothing_but_the_work(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)

    class Dying(SyncScreenalytics):
        def take(self, connection: psycopg.Connection, fetched: Any) -> Any:
            super().take(connection, fetched)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcomes(connection, store, stage=Dying())
    make_due(connection)
    assert all(found == [] for found in rows(connection).values())
    assert [each.receipt is not None for each in outcomes(connection, store)] == [True]


def test_a_value_that_the_database_cannot_hold_is_refused_by_itself(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    random_name = "".join(
        random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=30_000)
    )
    files = run_files()
    body = manifest_for(files, asset="film").model_dump(mode="json")
    body["stages"]["make_notes"]["artifacts"][0]["key"] = random_name
    lay(store, files, manifest_bytes=json.dumps(body).encode())
    lay(store, asset="good")
    found = {each.receipt is None: each for each in outcomes(connection, store)}
    assert found[False].receipt is not None
    refusal = found[True].refusal
    assert refusal is not None
    assert refusal.code == "invalid"


def test_an_archive_holds_what_the_installation_that_made_the_run_holds(
    connection: psycopg.Connection,
    module_database_url: str,
    store: ObjectStore,
    tmp_path: Path,
    source: Path,
) -> None:
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source)
    published = publish_run(run, store, lambda: MOMENT, lambda done, total: None, concurrency=4)
    ingest_run(run, PostgresResults(connection, BUILT_IN), BUILT_IN)
    with connected(module_database_url) as other:
        (outcome,) = outcomes(other, store, stage=SyncArchive(BUILT_IN))
        assert outcome.receipt is not None
        assert outcome.receipt.manifest_sha256 == published.manifest_sha256
        mine, theirs = artifacts(connection), artifacts(other)
    assert len(mine) == 6
    assert mine == theirs


def artifacts(connection: psycopg.Connection) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from artifacts order by artifact_id").fetchall()


@pytest.mark.parametrize("path", ["scenes.jsonl", "notes.json", "screentime.json"])
def test_an_archive_verifies_every_byte(
    connection: psycopg.Connection, store: ObjectStore, path: str
) -> None:
    data = run_files()[path]
    lay(store, instead={path: data[:-2] + b" " + data[-1:]})
    before = rows(connection, ARCHIVE)
    (outcome,) = outcomes(connection, store, stage=SyncArchive(BUILT_IN))
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch" or path == "scenes.jsonl"
    assert outcome.refusal.artifact_key == path.rpartition(".")[0]
    assert rows(connection, ARCHIVE) == before


def test_a_product_and_an_archive_in_one_database_take_a_run_in_once_each(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)
    outcomes(connection, store)
    once = rows(connection)
    outcomes(connection, store, stage=SyncArchive(BUILT_IN))
    assert rows(connection) == once
    answer = receipts(connection, "film", "r1")
    assert {each.stage for each in answer.receipts} == {"sync_screenalytics", "ingest"}


def test_a_published_run_is_not_replaced_by_a_later_revision(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path, source: Path
) -> None:
    """Somebody who still has the unsealed folder cannot undo what was taken in."""
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source)
    publish_run(run, store, lambda: MOMENT, lambda done, total: None, concurrency=4)
    outcomes(connection, store, stage=SyncArchive(BUILT_IN))
    (run.folder / "seal.json").unlink()
    execute(run, source, stages=["part"], force=True)
    with pytest.raises(Conflict, match="ingested with other bytes"):
        ingest_run(FolderRun(run.folder), PostgresResults(connection, BUILT_IN), BUILT_IN)


def test_a_deleted_run_takes_its_receipts_and_product_rows_along(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store)
    outcomes(connection, store, stage=SyncArchive(BUILT_IN))
    Artifacts(connection, BUILT_IN).delete_run("film", "r1")
    assert all(found == [] for found in rows(connection).values())
    archive = SyncArchive(BUILT_IN)
    assert outcomes(connection, store, stage=archive) == [], "it stays deleted"
    (again,) = outcomes(connection, store, stage=archive, retry=True)
    assert again.receipt is not None, "unless somebody asks for it"


def test_rows_read_from_a_store_stay_when_the_run_comes_from_its_own_folder(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source)
    publish_run(run, store, lambda: MOMENT, lambda done, total: None, concurrency=4)
    outcomes(connection, store)
    once = rows(connection)
    ingest_run(run, PostgresResults(connection, BUILT_IN), BUILT_IN)
    assert rows(connection) == once


def test_what_an_older_schema_took_in_can_be_taken_in_again(
    connection: psycopg.Connection, tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source)
    results = PostgresResults(connection, BUILT_IN)
    ingest_run(run, results, BUILT_IN)
    connection.execute("truncate screenalytics.runs cascade")
    connection.execute("update pipeline.inbox set source = 'before 0004'")
    assert not ingest_run(run, results, BUILT_IN).is_replay
    assert len(rows(connection)["screenalytics.run_artifacts"]) == 3
    assert ingest_run(run, results, BUILT_IN).is_replay


def test_a_refusal_is_found_by_its_run_though_the_manifest_cannot_be_read(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    lay(store, asset=EPISODE, manifest_bytes=b"{")
    outcomes(connection, store)
    assert len(receipts(connection, EPISODE, "r1").refusals) == 1
    assert len(receipts(connection, None, EPISODE).refusals) == 1


def test_receipts_tell_when_from_which_bytes_and_into_how_many_rows(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    files = run_files()
    key = lay(store, files)
    bad = lay(store, files, asset="bad", leave_out="screentime.json")
    outcomes(connection, store)
    (receipt,) = receipts(connection, "film", "r1").receipts
    manifest = manifest_for(files)
    assert receipt.manifest_sha256 == sha256_hex(manifest.to_bytes())
    assert (receipt.source, receipt.manifest_key) == (store.url, key)
    assert receipt.files == {"screentime.json": sha256_hex(files["screentime.json"])}
    assert receipt.counts["screenalytics.person_metrics"] == 2
    answer = receipts(connection, None, "bad")
    assert answer.receipts == ()
    assert [each.manifest_key for each in answer.refusals] == [bad]
    (source,) = status(connection).sources
    assert (source.taken_in, source.waiting, source.retrying, source.refused) == (1, 0, 1, 0)
