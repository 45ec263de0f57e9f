"""The contract of result stores, tested with PostgreSQL and in memory."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from filmgate.core.answers import Receipt
from filmgate.core.digest import digest, sha256_hex
from filmgate.core.errors import Conflict, Invalid
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.publishing import ManifestLocation
from filmgate.core.records import RunHead
from filmgate.core.result_store import ArtifactRow, ArtifactRows, ResultStore
from filmgate.core.states import RunState
from filmgate.db.connection import connected
from filmgate.db.result_store import PostgresResults
from filmgate.sync.ingest import ingest_run
from filmgate.testing import MemoryResultStore, MemoryRun
from support.archive import LOCAL_ORIGIN
from support.runs import SCENES, execute, make_head

PUBLISHED = ManifestLocation(source="s3://bucket", manifest_key="runs/film/r1/manifest.json")

Artifacts = dict[str, list[tuple[int, int, int, Any]]]
"""Ordinal, start, end and payload of every artifact, by type."""


class StoreUnderTest(Protocol):
    """A result store and what it contains."""

    def open(self) -> AbstractContextManager[ResultStore]:
        """Open the store, as another process would."""

    def status(self, run: RunHead | Manifest) -> str | None:
        """Status of a run; None if it is not stored."""

    def artifacts(self, run: RunHead | Manifest) -> Artifacts:
        """Artifacts of a run."""


class InMemory:
    def __init__(self) -> None:
        self._store = MemoryResultStore()

    @contextmanager
    def open(self) -> Iterator[ResultStore]:
        yield self._store

    def status(self, run: RunHead | Manifest) -> str | None:
        stored = self._store.find(run)
        return stored.status if stored else None

    def artifacts(self, run: RunHead | Manifest) -> Artifacts:
        stored = self._store.find(run)
        return {
            name: [(*row[:3], json.loads(row.payload)) for row in rows]
            for name, rows in (stored.artifacts if stored else {}).items()
        }


class InPostgres:
    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def open(self) -> Iterator[ResultStore]:
        with connected(self._url) as connection:
            yield PostgresResults(connection, BUILT_IN)

    def status(self, run: RunHead | Manifest) -> str | None:
        rows = self._rows("select status from runs join assets using (asset_key)", run)
        return str(rows[0][0]) if rows else None

    def artifacts(self, run: RunHead | Manifest) -> Artifacts:
        query = """
            select artifact_type, ordinal, span_start_ms, span_end_ms, payload
              from artifact_rows
              join artifact_types using (type_key)
              join runs using (asset_key, run_key)
              join assets using (asset_key)
        """
        found: Artifacts = {}
        for name, *row in self._rows(query, run, "order by artifact_type, ordinal"):
            found.setdefault(name, []).append((row[0], row[1], row[2], row[3]))
        return found

    def _rows(self, query: str, run: RunHead | Manifest, end: str = "") -> Sequence[Any]:
        where = "where producer = %s and asset_id = %s and run_id = %s"
        keys = (run.producer, run.asset.id, run.run_id)
        with connected(self._url) as connection:
            return connection.execute(f"{query} {where} {end}".encode(), keys).fetchall()


@pytest.fixture(params=["postgres", "memory"])
def tested(request: pytest.FixtureRequest) -> StoreUnderTest:
    if request.param == "memory":
        return InMemory()
    return InPostgres(request.getfixturevalue("database_url"))


@pytest.fixture
def results(tested: StoreUnderTest) -> Iterator[ResultStore]:
    with tested.open() as opened:
        yield opened


@pytest.fixture
def run(source: Path) -> MemoryRun:
    run = MemoryRun(make_head(source, "r1"))
    execute(run, source)
    return run


def ingest(
    results: ResultStore,
    manifest: Manifest,
    files: Sequence[ArtifactRows] = (),
    origin: ManifestLocation = LOCAL_ORIGIN,
) -> Receipt:
    return results.ingest(manifest, sha256_hex(manifest.to_bytes()), origin, files)


def test_a_run_is_stored_with_all_its_artifacts(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    receipt = ingest_run(run, results, BUILT_IN)
    manifest = run.fold_manifest(None)
    assert not receipt.is_replay
    assert (receipt.producer, receipt.asset_id, receipt.run_id) == ("tests", "film", "r1")
    assert (receipt.stage, receipt.status) == ("ingest", "completed")
    assert receipt.manifest_sha256 == sha256_hex(manifest.to_bytes())
    assert receipt.artifacts == {"scene": 3, "transcript.segment": 3}
    assert receipt.counts["artifacts"] == 6
    assert tested.status(manifest) == "completed"
    scenes = tested.artifacts(manifest)["scene"]
    assert [row[:3] for row in scenes] == [(0, 0, 1000), (1, 1000, 2000), (2, 2000, 3000)]
    assert [row[3]["scene_index"] for row in scenes] == [0, 1, 2]


def test_the_same_manifest_again_changes_nothing(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    first = ingest_run(run, results, BUILT_IN)
    once = tested.artifacts(run.head)
    second = ingest_run(run, results, BUILT_IN)
    assert second.is_replay
    assert second.model_copy(update={"is_replay": False}) == first
    assert tested.artifacts(run.head) == once
    assert tested.status(run.head) == "completed"


def test_concurrent_ingests_of_one_manifest_write_it_once(
    tested: StoreUnderTest, run: MemoryRun
) -> None:
    receipts = []

    def ingest_it() -> None:
        with tested.open() as own:
            receipts.append(ingest_run(run, own, BUILT_IN))

    threads = [threading.Thread(target=ingest_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.is_replay for receipt in receipts) == [False, True, True, True]
    assert len(tested.artifacts(run.head)["scene"]) == 3


def test_a_later_revision_replaces_the_earlier_one(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun, source: Path
) -> None:
    ingest_run(run, results, BUILT_IN)
    execute(run, source, stages=["part"], force=True)
    assert not ingest_run(run, results, BUILT_IN).is_replay
    assert {name: len(rows) for name, rows in tested.artifacts(run.head).items()} == {
        "scene": 3,
        "transcript.segment": 3,
    }


def test_an_earlier_or_equal_revision_with_other_bytes_is_a_conflict(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    manifest, stored = run.fold_manifest(None), tested.artifacts(run.head)
    for revision in (manifest.revision, manifest.revision - 1):
        other = manifest.model_copy(update={"revision": revision, "metrics": {"other": 1}})
        with pytest.raises(Conflict, match="other bytes") as refused:
            ingest(results, other)
        assert refused.value.details["reason"] == "manifest_conflict"
    assert tested.artifacts(run.head) == stored
    assert ingest_run(run, results, BUILT_IN).is_replay


CHANGES: dict[str, Callable[[Manifest], dict[str, Any]]] = {
    "created_at": lambda manifest: {"created_at": manifest.created_at + timedelta(seconds=1)},
    "config_hash": lambda manifest: {"config_hash": digest(b"other")},
    "input_hash": lambda manifest: {
        "asset": manifest.asset.model_copy(update={"input_hash": digest(b"other")})
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_later_revision_on_another_input_or_config_is_a_conflict(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun, change: str
) -> None:
    ingest_run(run, results, BUILT_IN)
    manifest = run.fold_manifest(None)
    changed = {"revision": manifest.revision + 1, **CHANGES[change](manifest)}
    with pytest.raises(Conflict, match=f"another {change}"):
        ingest(results, manifest.model_copy(update=changed))
    assert len(tested.artifacts(run.head)["scene"]) == 3


def test_a_published_manifest_is_never_replaced(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    manifest = run.fold_manifest(None)
    ingest(results, manifest, origin=PUBLISHED)
    later = manifest.model_copy(update={"revision": manifest.revision + 1})
    for origin in (PUBLISHED, LOCAL_ORIGIN):
        with pytest.raises(Conflict, match="as published"):
            ingest(results, later, origin=origin)
    assert ingest(results, manifest, origin=LOCAL_ORIGIN).is_replay


@pytest.mark.parametrize("has_earlier", [False, True])
def test_an_ingest_that_fails_changes_nothing(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun, source: Path, has_earlier: bool
) -> None:
    if has_earlier:
        ingest_run(run, results, BUILT_IN)
        execute(run, source, stages=["part"], force=True)
    before = (tested.status(run.head), tested.artifacts(run.head))
    with run.open(SCENES.path) as file:
        run.put_file(SCENES.path, file.read().replace(b"1000", b"1001"))
    with pytest.raises(Invalid, match=f"{SCENES.path} does not match the manifest"):
        ingest_run(run, results, BUILT_IN)
    assert (tested.status(run.head), tested.artifacts(run.head)) == before


def test_an_iterator_of_rows_that_fails_leaves_no_rows(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    def rows() -> Iterator[ArtifactRow]:
        yield ArtifactRow(0, 0, 1, b"{}")
        raise Invalid("the bytes do not match")

    manifest = run.fold_manifest(None)
    stage, entry, ref = next(each for each in manifest.artifact_refs if each[2].artifact_type)
    assert entry.producer is not None
    assert entry.ended is not None
    files = [ArtifactRows(stage, ref, "scene", entry.producer, entry.ended, rows())]
    with pytest.raises(Invalid, match="the bytes do not match"):
        ingest(results, manifest, files)
    assert tested.status(manifest) is None
    assert tested.artifacts(manifest) == {}


def test_runs_of_two_installations_with_the_same_id_are_two_runs(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    manifest = run.fold_manifest(None)
    foreign = manifest.model_copy(update={"producer": "theirs"})
    assert not ingest(results, manifest).is_replay
    assert not ingest(results, foreign).is_replay
    assert tested.status(manifest) == tested.status(foreign) == "completed"


def test_a_failed_run_is_stored_without_artifacts(
    tested: StoreUnderTest, results: ResultStore, source: Path
) -> None:
    source.write_text("!")
    run = MemoryRun(make_head(source, "r1"))
    assert execute(run, source).status is RunState.FAILED
    receipt = ingest_run(run, results, BUILT_IN)
    assert (receipt.status, receipt.artifacts) == ("failed", {})
    assert tested.status(run.head) == "failed"
    assert tested.artifacts(run.head) == {}


def test_the_status_of_a_run_is_stored_from_its_start_to_its_end(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    manifest = run.fold_manifest(None)
    results.end(manifest)
    assert tested.status(run.head) is None, "the run was not begun"
    for _ in range(2):
        results.begin(run.head)
        assert tested.status(run.head) == "running"
    for _ in range(2):
        results.end(manifest)
        assert tested.status(run.head) == "incomplete", "its artifacts were not ingested"
    results.begin(run.head)
    assert tested.status(run.head) == "running"
    assert not ingest_run(run, results, BUILT_IN).is_replay
    assert tested.status(run.head) == "completed"


def test_a_completed_run_stays_completed_when_it_is_begun_and_ended_again(
    tested: StoreUnderTest, results: ResultStore, run: MemoryRun
) -> None:
    ingest_run(run, results, BUILT_IN)
    results.begin(run.head)
    assert tested.status(run.head) == "completed"
    failed = run.fold_manifest(None).model_copy(update={"status": RunState.FAILED})
    results.end(failed)
    assert tested.status(run.head) == "completed"
    assert len(tested.artifacts(run.head)["scene"]) == 3


def test_a_failed_run_that_ends_again_with_the_same_manifest_is_failed_again(
    tested: StoreUnderTest, results: ResultStore, source: Path
) -> None:
    source.write_text("!")
    run = MemoryRun(make_head(source, "r1"))
    execute(run, source)
    ingest_run(run, results, BUILT_IN)
    results.begin(run.head)
    assert tested.status(run.head) == "running"
    assert ingest_run(run, results, BUILT_IN).is_replay
    assert tested.status(run.head) == "failed"
