"""Sync: a manifest in a store becomes rows exactly once, or is refused with a reason."""

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
from filmgate.core.publishing import Announcement, ManifestLocation
from filmgate.db.artifacts import Artifacts
from filmgate.db.connection import connected
from filmgate.db.deliveries import Deliveries, receipts, status
from filmgate.db.outbox import Outbox
from filmgate.db.result_store import PostgresResults
from filmgate.store.addresses import S3Options, open_store
from filmgate.store.run_directory import FolderRun
from filmgate.sync.archive import ArchiveIngestor
from filmgate.sync.consumer import Consumer, Ingestor
from filmgate.sync.ingest import ingest_run
from filmgate.sync.publish import publish_run
from filmgate.sync.screenalytics import ScreenalyticsIngestor
from filmgate.sync.subscription import Subscription
from filmgate.wiring.pipelines import summaries_of
from support.faulty import Fault, FaultyStore
from support.published import manifest_for, put_run, run_files
from support.runs import MOMENT, execute, reserve_run

EPISODE = "show-s01e02"
PRODUCT = ("screenalytics.runs", "screenalytics.run_artifacts", "screenalytics.person_metrics")
QUEUE = ("deliveries", "positions", "inbox")
ARCHIVE = ("assets", "runs", "artifact_files", "artifact_rows", "stage_ends", *PRODUCT)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "store"), S3Options(), make=True)


def sync_store(
    connection: psycopg.Connection,
    store: ObjectStore,
    *,
    ingestor: Ingestor[Any] | None = None,
    retry: bool = False,
    concurrency: int = 4,
) -> list[SyncOutcome]:
    """Sync a store once."""
    ingestor = ingestor or ScreenalyticsIngestor(summaries_of)
    options = {"concurrency": concurrency, "lease_s": 5}
    with Consumer(connection, ingestor, lambda _: store, **options) as consumer:
        subscription = Subscription.from_store(
            connection, store, Deliveries(connection, ingestor.name), consumer
        )
        if retry:
            subscription.retry()
        return [outcome for _, outcome in subscription.run() if outcome is not None]


def refusal_of(connection: psycopg.Connection, store: ObjectStore) -> Refusal:
    """Return why the only manifest was refused, and check that only the reason was written."""
    before = rows(connection)
    (outcome,) = sync_store(connection, store)
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


def test_a_completed_manifest_becomes_rows_with_their_origin(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    key = put_run(store, asset="rhobh-s05e02")
    (outcome,) = sync_store(connection, store)
    assert outcome.receipt is not None
    assert outcome.receipt.counts == dict(zip(PRODUCT, (1, 3, 2), strict=True))
    with connection.cursor(row_factory=dict_row) as cursor:
        (run,) = cursor.execute("select * from screenalytics.runs").fetchall()
        files = cursor.execute("select * from screenalytics.run_artifacts").fetchall()
    assert key == "runs/rhobh/s05/e02/r1/manifest.json"
    columns = (run["source"], run["manifest_key"], run["status"], run["schema_version"])
    assert columns == (store.url, key, "completed", 1)
    assert {file["artifact_key"] for file in files} == {"scenes", "screentime", "notes"}
    first, second = people(connection)
    assert (first["onscreen_ms"], first["face_visible_ms"], first["body_only_ms"]) == (
        1000,
        700,
        200,
    )
    assert (first["artifact_key"], first["schema_version"]) == ("screentime", 1)
    assert second["onscreen_ms"] == 1001


def test_times_that_were_not_measured_are_null_and_not_zero(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store)
    sync_store(connection, store)
    assert {
        (person["speaking_ms"], person["confessional_ms"]) for person in people(connection)
    } == {(None, 0)}


def test_the_same_store_makes_the_same_rows_in_another_database(
    connection: psycopg.Connection, module_database_url: str, store: ObjectStore
) -> None:
    for number in range(5):
        put_run(store, asset=f"film{number}")
    sync_store(connection, store, concurrency=1)
    with connected(module_database_url) as other:
        sync_store(other, store, concurrency=5)
        assert rows(other) == rows(connection)


def test_ingesting_again_adds_no_rows(connection: psycopg.Connection, store: ObjectStore) -> None:
    put_run(store)
    sync_store(connection, store)
    once = rows(connection)
    assert sync_store(connection, store) == [], "the key is listed again"
    connection.execute("update deliveries set next_attempt_at = now(), status = 'PENDING'")
    (again,) = sync_store(connection, store)
    assert again.receipt is not None
    assert again.receipt.is_replay
    connection.execute("delete from deliveries")
    (rediscovered,) = sync_store(connection, store)
    assert rediscovered.receipt is not None
    assert rediscovered.receipt.is_replay
    assert rows(connection) == once


def test_a_run_at_a_key_of_the_older_layout_is_ingested(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, asset="rhobh-s05e02", prefix="runs/rhobh-s05e02/r1")
    (outcome,) = sync_store(connection, store)
    assert outcome.receipt is not None


def test_a_run_without_screen_time_has_no_people_and_no_zeros(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    files = {path: data for path, data in run_files().items() if path != "screentime.json"}
    put_run(store, files)
    (outcome,) = sync_store(connection, store)
    assert outcome.receipt is not None
    assert people(connection) == []


@pytest.mark.parametrize("path", ["screentime.json", "scenes.jsonl", "notes.json"])
def test_a_missing_file_is_named_and_retried(
    connection: psycopg.Connection, store: ObjectStore, path: str
) -> None:
    key = put_run(store, leave_out=path)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("missing_artifact", path.rpartition(".")[0])
    assert (refusal.manifest_key, refusal.got, refusal.retryable) == (key, "no file", True)
    assert sync_store(connection, store) == [], "it is not due yet"
    store.create(f"{key.rpartition('/')[0]}/{path}", run_files()[path])
    connection.execute("update deliveries set next_attempt_at = now()")
    (healed,) = sync_store(connection, store)
    assert healed.receipt is not None
    found = connection.execute("select status, error_details from deliveries").fetchall()
    assert found == [("SUCCESS", None)]


@pytest.mark.parametrize("path", ["screentime.json", "scenes.jsonl", "notes.json"])
def test_a_truncated_file_is_named(
    connection: psycopg.Connection, store: ObjectStore, path: str
) -> None:
    put_run(store, replaced={path: run_files()[path][:-1]})
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("digest_mismatch", path.rpartition(".")[0])
    assert refusal.got is not None
    assert refusal.got.startswith(f"{len(run_files()[path]) - 1} bytes")
    assert not refusal.retryable


def test_a_summary_with_other_bytes_is_named(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    altered = run_files()["screentime.json"].replace(b"700", b"701")
    put_run(store, replaced={"screentime.json": altered})
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
def test_a_summary_that_breaks_its_contract_is_refused_with_a_json_pointer(
    connection: psycopg.Connection, store: ObjectStore, was: bytes, now: bytes, pointer: str | None
) -> None:
    files = run_files()
    assert was in files["screentime.json"]
    files["screentime.json"] = files["screentime.json"].replace(was, now, 1)
    put_run(store, files)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_invalid", "screentime")
    assert refusal.json_pointer == pointer
    assert not refusal.retryable


def test_a_summary_of_an_unknown_version_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, screentime_version=2)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_version_unsupported", "screentime")
    assert (refusal.found, refusal.supported) == (2, (1,))


@pytest.mark.parametrize(
    "version",
    [0, 2, 99, "1", 1.0, True, None, "missing", [1], {"a": "\0"}, "\0", "x" * 10**6, 10**30],
)
def test_the_version_of_a_manifest_is_checked_first(
    connection: psycopg.Connection, store: ObjectStore, version: Any
) -> None:
    body = manifest_for(run_files()).model_dump(mode="json")
    body |= {"schema_version": version, "run_id": 7, "a field of the future": []}
    if version == "missing":
        del body["schema_version"]
    put_run(store, manifest_bytes=json.dumps(body).encode())
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
def test_a_file_that_is_not_a_manifest_is_refused(
    connection: psycopg.Connection, store: ObjectStore, data: bytes, pointer: str | None
) -> None:
    put_run(store, manifest_bytes=data)
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
def test_a_manifest_with_an_invalid_field_is_refused(
    connection: psycopg.Connection,
    store: ObjectStore,
    change: dict[str, Any],
    code: str,
    pointer: str,
) -> None:
    body = manifest_for(run_files()).model_dump(mode="json") | change
    put_run(store, manifest_bytes=json.dumps(body).encode())
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
    put_run(store, manifest_bytes=json.dumps(body).encode())
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_invalid", "screentime")
    assert refusal.json_pointer == "/stages/make_screentime/artifacts/0/path"


def test_a_duplicate_artifact_key_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    body = manifest_for(run_files()).model_dump(mode="json")
    body["stages"]["make_notes"]["artifacts"][0]["key"] = "scenes"
    put_run(store, manifest_bytes=json.dumps(body).encode())
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.artifact_key) == ("schema_invalid", "scenes")


def test_the_same_run_with_another_manifest_is_a_conflict(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, asset=EPISODE)
    sync_store(connection, store)
    put_run(store, asset=EPISODE, prefix=f"runs/{EPISODE}/r1", revision=9)
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.retryable) == ("manifest_conflict", False)


def test_runs_of_two_producers_with_one_id_are_separate(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, asset=EPISODE, producer="studio")
    put_run(store, asset=EPISODE, producer="lab", prefix=f"runs/{EPISODE}/r1")
    assert all(outcome.receipt for outcome in sync_store(connection, store))
    assert len(people(connection)) == 4


def test_a_manifest_in_the_folder_of_another_asset_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, prefix="runs/another/r1")
    refusal = refusal_of(connection, store)
    assert (refusal.code, refusal.json_pointer) == ("run_id_mismatch", "/asset/id")


def test_a_file_of_a_run_that_is_named_manifest_json_is_not_a_manifest(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, {**run_files(), "exports/manifest.json": b"{}"})
    assert len(sync_store(connection, store)) == 1


def test_one_bad_manifest_does_not_stop_the_others(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    for number in range(12):
        bad = number % 3 == 0
        put_run(store, asset=f"film{number}", manifest_bytes=b"{}" if bad else None)
    found = sync_store(connection, store)
    assert sum(outcome.receipt is not None for outcome in found) == 8
    assert len(rows(connection)["screenalytics.runs"]) == 8


def test_an_unavailable_store_is_retried(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store)
    faulty = FaultyStore(store, {2: Fault.FAILS}.get)
    (outcome,) = sync_store(connection, faulty)
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("unavailable", True)
    assert outcome.next_attempt_at is not None
    assert [
        outcome.receipt is not None for outcome in sync_store(connection, faulty, retry=True)
    ] == [True]


def test_retry_intervals_grow_to_a_limit_and_permanent_errors_are_not_retried() -> None:
    empty: dict[str, Any] = dict.fromkeys(Refusal.model_fields)
    fields = empty | {
        "code": "missing_artifact",
        "message": "x",
        "manifest_key": "k",
        "retryable": True,
    }
    refusal = Refusal(**fields)
    waits = [retry_after(refusal, attempt) for attempt in range(1, MOST_ATTEMPTS + 1)]
    assert waits[:3] == [timedelta(seconds=s) for s in (2, 4, 8)]
    assert waits[-2:] == [timedelta(hours=1), None]
    assert retry_after(refusal.model_copy(update={"retryable": False}), 1) is None
    away = refusal.model_copy(update={"code": "unavailable"})
    assert retry_after(away, 1000) == timedelta(hours=1), (
        "an unavailable store is retried without a limit"
    )


class ExpiredKeysStore(FaultyStore):
    """A store that refuses access because its keys have expired."""

    def open(self, key: str) -> BinaryIO:
        raise NotPermitted("the access keys have expired")


def test_expired_access_keys_are_retried(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store)
    (outcome,) = sync_store(connection, ExpiredKeysStore(store))
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("not_permitted", True)
    make_due(connection)
    assert [outcome.receipt is not None for outcome in sync_store(connection, store)] == [True]


def test_a_missing_store_is_retried(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path
) -> None:
    announce(connection, store, "film")
    (tmp_path / "store").rename(tmp_path / "away")
    (outcome,) = drain_outbox(connection, store)
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("no_store", True)
    (tmp_path / "away").rename(tmp_path / "store")
    make_due(connection)
    assert [outcome.receipt is not None for outcome in drain_outbox(connection, store)] == [True]


class InterruptedStore(FaultyStore):
    """A store whose responses are interrupted in the middle."""

    def open(self, key: str) -> BinaryIO:
        with super().open(key) as file:
            data = file.read()
        return cast("BinaryIO", InterruptedFile(data[: len(data) // 2]))


class InterruptedFile(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if size is None or size < 0 or len(found) < size:
            raise Unavailable("the connection was interrupted")
        return found


def test_an_interrupted_response_is_retried(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store)
    (outcome,) = sync_store(connection, InterruptedStore(store))
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.retryable) == ("unavailable", True)
    assert sync_store(connection, store, retry=True)[0].receipt is not None


@pytest.mark.parametrize("has_failed_before", [False, True])
def test_attempts_are_counted_before_they_start_and_end_after_many_dead_consumers(
    connection: psycopg.Connection, store: ObjectStore, has_failed_before: bool
) -> None:
    key = put_run(store, leave_out="screentime.json" if has_failed_before else "")
    if has_failed_before:
        assert len(sync_store(connection, store)) == 1
        store.create(f"{key.rpartition('/')[0]}/screentime.json", run_files()["screentime.json"])
        make_due(connection)

    class Deadly(ScreenalyticsIngestor):
        def fetch(self, verified: Any) -> Any:
            raise KeyboardInterrupt

    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            sync_store(connection, store, ingestor=Deadly(summaries_of))
        make_due(connection)
    (outcome,) = sync_store(connection, store, ingestor=Deadly(summaries_of))
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.next_attempt_at) == ("consumer_died", None)


def test_a_refused_manifest_is_read_again_on_request_or_if_its_bytes_change(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path
) -> None:
    key = put_run(store, manifest_bytes=b"{}")
    assert len(sync_store(connection, store)) == 1
    assert sync_store(connection, store) == []
    assert len(sync_store(connection, store, retry=True)) == 1
    (tmp_path / "store" / key).write_bytes(manifest_for(run_files()).to_bytes())
    (repaired,) = sync_store(connection, store)
    assert repaired.receipt is not None


def test_an_interrupted_listing_is_resumed_and_leaves_no_key_out(
    connection: psycopg.Connection, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filmgate.store.folder_objects.PAGE_KEYS", 5)
    for number in range(9):
        put_run(store, asset=f"film{number}")
    ingestor = ScreenalyticsIngestor(summaries_of)
    deliveries = Deliveries(connection, ingestor.name)
    with Consumer(connection, ingestor, lambda _: store, concurrency=2, lease_s=5) as consumer:
        subscription = Subscription.from_store(connection, store, deliveries, consumer)
        next(subscription.run())  # the first page is stored; then the process ends
    position = deliveries.position(store.url)
    assert position is not None
    assert position.startswith("runs/film1")
    put_run(store, asset="film00")  # before the stored position
    assert len([outcome for outcome in sync_store(connection, store) if outcome.receipt]) == 10
    assert deliveries.position(store.url) is None


def test_an_outbox_delivers_announced_runs_only(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, asset="unannounced")
    announced = [announce(connection, store, f"film{number}") for number in range(3)]
    found = drain_outbox(connection, store)
    assert sorted(outcome.manifest_key for outcome in found) == sorted(announced)
    assert drain_outbox(connection, store) == []
    announce(connection, store, "later")
    assert len(drain_outbox(connection, store)) == 1


def announce(connection: psycopg.Connection, store: ObjectStore, asset: str, **fields: Any) -> str:
    key = put_run(store, asset=asset, **fields)
    manifest = manifest_for(run_files(), asset=asset)
    Outbox(connection).announce(
        Announcement(
            producer="studio",
            asset_id=asset,
            run_id="r1",
            origin=ManifestLocation(source=store.url, manifest_key=key),
            manifest_sha256=sha256_hex(manifest.to_bytes()),
        )
    )
    return key


def drain_outbox(connection: psycopg.Connection, store: ObjectStore) -> list[SyncOutcome]:
    ingestor = ScreenalyticsIngestor(summaries_of)
    with Consumer(connection, ingestor, lambda _: store, concurrency=2, lease_s=5) as consumer:
        deliveries = Deliveries(connection, ingestor.name)
        subscription = Subscription.from_outbox(
            connection, connection, deliveries, consumer, "outbox"
        )
        return [outcome for _, outcome in subscription.run() if outcome is not None]


def test_a_manifest_that_does_not_match_its_announcement_is_refused(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    other = manifest_for(run_files(), asset="film", revision=4)
    announce(connection, store, "film", manifest_bytes=other.to_bytes())
    (outcome,) = drain_outbox(connection, store)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch"


def test_a_manifest_found_in_a_listing_is_verified_against_a_later_announcement(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    deliveries = Deliveries(connection, "sync_screenalytics")
    other = manifest_for(run_files(), asset="film", revision=4)
    key = "runs/film/r1/manifest.json"
    deliveries.add_notices(
        [Notice(origin=ManifestLocation(source=store.url, manifest_key=key), mark="x")]
    )
    announce(connection, store, "film", manifest_bytes=other.to_bytes())
    (outcome,) = drain_outbox(connection, store)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch"


def test_an_overwritten_manifest_is_noticed_after_an_announcement(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path
) -> None:
    key = announce(connection, store, "film")
    drain_outbox(connection, store)
    assert sync_store(connection, store) == []
    other = manifest_for(run_files(), asset="film", revision=9)
    (tmp_path / "store" / key).write_bytes(other.to_bytes())
    (outcome,) = sync_store(connection, store)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch"


def test_a_recreated_outbox_is_read_from_its_start(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    for number in range(3):
        announce(connection, store, f"film{number}")
    drain_outbox(connection, store)
    connection.execute("truncate outbox restart identity")
    announce(connection, store, "another")
    assert [outcome.receipt is not None for outcome in drain_outbox(connection, store)] == [True]


def test_an_outbox_is_not_blocked_by_manifests_of_other_stores(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    """A consumer of the outbox may have no access keys for other stores."""
    deliveries = Deliveries(connection, "sync_screenalytics")
    elsewhere = ManifestLocation(source="s3://elsewhere", manifest_key="runs/x/r1/manifest.json")
    deliveries.add_notices([Notice(origin=elsewhere, mark="x")])
    announce(connection, store, "film")
    assert len(drain_outbox(connection, store)) == 1


@pytest.mark.parametrize(
    "ingestor", [ScreenalyticsIngestor(summaries_of), ArchiveIngestor(BUILT_IN, summaries_of)]
)
def test_a_dry_run_writes_nothing_and_blocks_no_consumer(
    connection: psycopg.Connection, database_url: str, store: ObjectStore, ingestor: Ingestor[Any]
) -> None:
    put_run(store, asset="missing", leave_out="screentime.json")
    assert len(sync_store(connection, store, ingestor=ingestor)) == 1
    put_run(store)
    put_run(store, asset="bad", manifest_bytes=b"{}")
    tables = (*ARCHIVE, "artifact_types", *QUEUE)
    before = rows(connection, tables)
    with Consumer(connection, ingestor, lambda _: store, concurrency=2, lease_s=5) as consumer:
        deliveries = Deliveries(connection, ingestor.name)
        subscription = Subscription.from_store(connection, store, deliveries, consumer)
        found = [outcome for _, outcome in subscription.dry_run(retry=True) if outcome]
        assert rows(connection, tables) == before
        codes = sorted(outcome.refusal.code for outcome in found if outcome.refusal)
        assert codes == ["missing_artifact", "schema_version_unsupported"]
        assert sum(outcome.receipt is not None for outcome in found) == 1
        dry_run = subscription.dry_run(retry=False)
        next(dry_run)
        with connected(database_url) as other:
            assert len(sync_store(other, store, ingestor=ingestor)) == 2
        list(dry_run)


def test_a_changed_manifest_is_taken_from_the_consumer_that_claimed_it(
    connection: psycopg.Connection, database_url: str, store: ObjectStore
) -> None:
    deliveries = Deliveries(connection, "sync_screenalytics")
    origin = ManifestLocation(source=store.url, manifest_key="runs/film/r1/manifest.json")
    deliveries.add_notices([Notice(origin=origin, mark="old")])
    (before,) = deliveries.claim(1, store.url, lease_s=5, until=None)
    deliveries.add_notices([Notice(origin=origin, mark="new")])
    (after,) = deliveries.claim(1, store.url, lease_s=5, until=None)
    assert before.attempt == after.attempt == 1
    with connection.transaction():
        assert deliveries.lock([before]) == set()
        assert deliveries.lock([after]) == {origin}


def test_a_failure_is_retried_once_per_run(
    connection: psycopg.Connection, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the next attempt is due before the run ends."""
    monkeypatch.setattr("filmgate.db.deliveries.FIRST_RETRY_S", 0)
    monkeypatch.setattr("filmgate.core.intake.FIRST_RETRY_S", 0)
    for number in range(6):
        put_run(store, asset=f"film{number}", leave_out="screentime.json")
    assert len(sync_store(connection, store, concurrency=2)) == 6
    assert len(sync_store(connection, store, concurrency=2)) == 6


def test_two_sources_that_notice_the_same_manifests_in_other_orders_do_not_deadlock(
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
                        origin=ManifestLocation(source=f"s3://bucket{turn}", manifest_key=key),
                        mark=mark,
                        announced_sha256=None if mark else "a" * 64,
                    )
                    for key in keys
                ]
                try:
                    with own.transaction():
                        deliveries.add_notices(notices)
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


def test_a_run_that_is_announced_and_listed_is_ingested_once(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    announce(connection, store, "film")
    assert len(drain_outbox(connection, store)) == 1
    assert sync_store(connection, store) == []
    counted = connection.execute("select count(*) from inbox").fetchone()
    assert counted == (1,)


def test_several_consumers_share_the_deliveries(
    connection: psycopg.Connection, database_url: str, store: ObjectStore
) -> None:
    for number in range(30):
        put_run(store, asset=f"film{number}")
    shares: list[int] = []

    def consume() -> None:
        with connected(database_url) as own:
            shares.append(len([outcome for outcome in sync_store(own, store) if outcome.receipt]))

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(shares) == 30
    assert len(rows(connection)["screenalytics.runs"]) == 30


def test_a_delivery_held_by_another_consumer_is_skipped(
    connection: psycopg.Connection, database_url: str, store: ObjectStore
) -> None:
    put_run(store)
    deliveries = Deliveries(connection, "sync_screenalytics")
    origin = ManifestLocation(source=store.url, manifest_key="runs/film/r1/manifest.json")
    deliveries.add_notices([Notice(origin=origin, mark="x")])
    with connected(database_url) as other:
        others = Deliveries(other, "sync_screenalytics")
        (claimed,) = others.claim(10, store.url, lease_s=5, until=None)
        with other.transaction():
            assert others.lock([claimed])
            make_due(connection)
            assert deliveries.claim(10, store.url, lease_s=5, until=None) == []
            assert sync_store(connection, store) == []
    make_due(connection)
    assert len(sync_store(connection, store)) == 1


def make_due(connection: psycopg.Connection) -> None:
    """Make all unfinished deliveries due, except those that are held."""
    connection.execute(
        "update deliveries set next_attempt_at = now() where ctid in ("
        " select ctid from deliveries where next_attempt_at is not null"
        " for update skip locked)"
    )


def test_a_consumer_that_dies_in_its_transaction_writes_nothing(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store)

    class Dying(ScreenalyticsIngestor):
        def ingest(self, connection: psycopg.Connection, fetched: Any) -> Any:
            super().ingest(connection, fetched)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync_store(connection, store, ingestor=Dying(summaries_of))
    make_due(connection)
    assert all(found == [] for found in rows(connection).values())
    assert [outcome.receipt is not None for outcome in sync_store(connection, store)] == [True]


def test_a_value_that_the_database_cannot_store_is_refused_alone(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    random_name = "".join(
        random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=30_000)
    )
    files = run_files()
    body = manifest_for(files, asset="film").model_dump(mode="json")
    body["stages"]["make_notes"]["artifacts"][0]["key"] = random_name
    put_run(store, files, manifest_bytes=json.dumps(body).encode())
    put_run(store, asset="good")
    found = {outcome.receipt is None: outcome for outcome in sync_store(connection, store)}
    assert found[False].receipt is not None
    refusal = found[True].refusal
    assert refusal is not None
    assert refusal.code == "invalid"


def test_an_archive_has_the_same_artifacts_as_the_producing_installation(
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
        (outcome,) = sync_store(other, store, ingestor=ArchiveIngestor(BUILT_IN, summaries_of))
        assert outcome.receipt is not None
        assert outcome.receipt.manifest_sha256 == published.manifest_sha256
        ingested, synced = artifacts(connection), artifacts(other)
    assert len(ingested) == 6
    assert ingested == synced


def test_table_statistics_are_refreshed_after_a_large_run_is_synced(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, run_files(scenes=1200))
    (outcome,) = sync_store(connection, store, ingestor=ArchiveIngestor(BUILT_IN, summaries_of))
    assert outcome.receipt is not None
    known = connection.execute(
        "select reltuples from pg_class where oid = 'artifact_rows'::regclass"
    ).fetchone()
    assert known == (1200,)


def artifacts(connection: psycopg.Connection) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from artifacts order by artifact_id").fetchall()


@pytest.mark.parametrize("path", ["scenes.jsonl", "notes.json", "screentime.json"])
def test_an_archive_verifies_every_byte(
    connection: psycopg.Connection, store: ObjectStore, path: str
) -> None:
    data = run_files()[path]
    put_run(store, replaced={path: data[:-2] + b" " + data[-1:]})
    before = rows(connection, ARCHIVE)
    (outcome,) = sync_store(connection, store, ingestor=ArchiveIngestor(BUILT_IN, summaries_of))
    assert outcome.refusal is not None
    assert outcome.refusal.code == "digest_mismatch" or path == "scenes.jsonl"
    assert outcome.refusal.artifact_key == path.rpartition(".")[0]
    assert rows(connection, ARCHIVE) == before


def test_a_product_and_an_archive_in_one_database_ingest_a_run_once_each(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store)
    sync_store(connection, store)
    once = rows(connection)
    sync_store(connection, store, ingestor=ArchiveIngestor(BUILT_IN, summaries_of))
    assert rows(connection) == once
    answer = receipts(connection, "film", "r1")
    assert {receipt.stage for receipt in answer.receipts} == {"sync_screenalytics", "ingest"}


def test_a_published_run_is_not_replaced_by_a_later_revision(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path, source: Path
) -> None:
    """An installation that still has an unsealed folder cannot replace the ingested run."""
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source)
    publish_run(run, store, lambda: MOMENT, lambda done, total: None, concurrency=4)
    sync_store(connection, store, ingestor=ArchiveIngestor(BUILT_IN, summaries_of))
    (run.folder / "seal.json").unlink()
    execute(run, source, stages=["part"], force=True)
    with pytest.raises(Conflict, match="ingested with other bytes"):
        ingest_run(FolderRun(run.folder), PostgresResults(connection, BUILT_IN), BUILT_IN)


def test_deleting_a_run_deletes_its_receipts_and_product_rows(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store)
    sync_store(connection, store, ingestor=ArchiveIngestor(BUILT_IN, summaries_of))
    Artifacts(connection, BUILT_IN).delete_run("film", "r1")
    assert all(found == [] for found in rows(connection).values())
    archive = ArchiveIngestor(BUILT_IN, summaries_of)
    assert sync_store(connection, store, ingestor=archive) == [], "the run stays deleted"
    (again,) = sync_store(connection, store, ingestor=archive, retry=True)
    assert again.receipt is not None, "a retry ingests it again"


def test_synced_rows_do_not_change_when_the_run_is_ingested_from_its_folder(
    connection: psycopg.Connection, store: ObjectStore, tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source)
    publish_run(run, store, lambda: MOMENT, lambda done, total: None, concurrency=4)
    sync_store(connection, store)
    once = rows(connection)
    ingest_run(run, PostgresResults(connection, BUILT_IN), BUILT_IN)
    assert rows(connection) == once


def test_a_run_ingested_by_an_older_schema_can_be_ingested_again(
    connection: psycopg.Connection, tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source)
    results = PostgresResults(connection, BUILT_IN)
    ingest_run(run, results, BUILT_IN)
    connection.execute("truncate product_runs cascade")
    connection.execute("update inbox set source = 'before 0004'")
    assert not ingest_run(run, results, BUILT_IN).is_replay
    assert len(rows(connection)["screenalytics.run_artifacts"]) == 3
    assert ingest_run(run, results, BUILT_IN).is_replay


def test_a_refusal_is_found_by_its_run_even_if_the_manifest_is_unreadable(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    put_run(store, asset=EPISODE, manifest_bytes=b"{")
    sync_store(connection, store)
    assert len(receipts(connection, EPISODE, "r1").refusals) == 1
    assert len(receipts(connection, None, EPISODE).refusals) == 1


def test_receipts_contain_digests_and_row_counts(
    connection: psycopg.Connection, store: ObjectStore
) -> None:
    files = run_files()
    key = put_run(store, files)
    bad = put_run(store, files, asset="bad", leave_out="screentime.json")
    sync_store(connection, store)
    (receipt,) = receipts(connection, "film", "r1").receipts
    manifest = manifest_for(files)
    assert receipt.manifest_sha256 == sha256_hex(manifest.to_bytes())
    assert (receipt.source, receipt.manifest_key) == (store.url, key)
    assert receipt.files == {"screentime.json": sha256_hex(files["screentime.json"])}
    assert receipt.counts["screenalytics.person_metrics"] == 2
    answer = receipts(connection, None, "bad")
    assert answer.receipts == ()
    assert [refusal.manifest_key for refusal in answer.refusals] == [bad]
    (source,) = status(connection).sources
    assert (source.taken_in, source.waiting, source.retrying, source.refused) == (1, 0, 1, 0)
