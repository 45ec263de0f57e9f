"""A finished run is published completely or not at all, once, and is sealed from then on."""

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from filmgate.core.answers import PublishedAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Conflict, Held, Invalid, Unavailable
from filmgate.core.manifest import Manifest
from filmgate.core.objects import ObjectStore
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.publishing import run_prefix
from filmgate.db.outbox import Outbox
from filmgate.engine.adoption import adopt
from filmgate.store.addresses import S3Options, open_store
from filmgate.store.run_directory import FolderRun
from filmgate.sync import publish
from filmgate.sync.publish import make_announcement, publish_run
from support.faulty import Fault, FaultyStore, ProcessDied
from support.runs import LETTERS, MOMENT, PLAN, SCENES, execute, part, reserve_run

OBJECTS = 3 + 3 + 1 + 1
"""Number of artifact files, records, heads and manifests."""


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "store"), S3Options(), make=True)


@pytest.fixture
def run(tmp_path: Path, source: Path) -> FolderRun:
    made = reserve_run(tmp_path / "home", source, asset="rhobh-s05e02", run_id="r1")
    execute(made, source)
    return made


def publish_to(run: FolderRun, store: ObjectStore, jobs: int = 4) -> PublishedAnswer:
    return publish_run(run, store, lambda: MOMENT, lambda done, total: None, concurrency=jobs)


def contents(store: ObjectStore) -> dict[str, bytes]:
    found = {}
    for page in store.pages("runs"):
        for entry in page:
            with store.open(entry.key) as file:
                found[entry.key] = file.read()
    return found


def expected_contents(run: FolderRun) -> dict[str, bytes]:
    """Return the objects that must be in the store, from the folder of the run."""
    manifest = run.fold_manifest(None)
    paths = [ref.path for _, _, ref in manifest.artifact_refs]
    paths += [f"commits/{record.name}" for record in run.ledger().records]
    place = run_prefix(manifest.asset.id, manifest.run_id)
    found = {f"{place}/{path}": (run.folder / path).read_bytes() for path in [*paths, "run.json"]}
    return found | {f"{place}/manifest.json": manifest.to_bytes()}


@pytest.mark.parametrize(
    ("asset", "place"),
    [
        ("rhobh-s05e02", "runs/rhobh/s05/e02/r1"),
        ("a-b-s11e103", "runs/a-b/s11/e103/r1"),
        ("film", "runs/film/r1"),
        ("rhobh-s5e2", "runs/rhobh-s5e2/r1"),
        ("rhobh-S05E02", "runs/rhobh-S05E02/r1"),
        ("s05e02", "runs/s05e02/r1"),
    ],
)
def test_runs_of_an_episode_are_stored_by_show_season_and_episode_others_by_asset(
    asset: str, place: str
) -> None:
    assert run_prefix(asset, "r1") == place


def test_a_run_is_published_with_its_files_records_and_manifest(
    run: FolderRun, store: ObjectStore
) -> None:
    answer = publish_to(run, store)
    found = contents(store)
    folder = "runs/rhobh/s05/e02/r1"
    assert answer.manifest_key == f"{folder}/manifest.json"
    assert (answer.files, answer.uploaded) == (OBJECTS, OBJECTS) == (len(found), len(found))
    manifest = Manifest.parse(found[answer.manifest_key])
    assert sha256_hex(found[answer.manifest_key]) == answer.manifest_sha256
    for _, entry, ref in manifest.artifact_refs:
        assert sha256_hex(found[f"{folder}/{ref.path}"]) == ref.sha256
        assert f"{folder}/{entry.derived_from}" in found
    assert found[f"{folder}/run.json"] == (run.folder / "run.json").read_bytes()


def test_the_manifest_is_created_last(run: FolderRun, store: ObjectStore) -> None:
    faulty = FaultyStore(store)
    publish_to(run, faulty)
    made = [key for name, key in faulty.calls if name == "create"]
    assert made[-1].endswith("/manifest.json")
    assert [key for key in made if key.endswith("/manifest.json")] == made[-1:]


def test_publishing_again_uploads_nothing(run: FolderRun, store: ObjectStore) -> None:
    first, again = publish_to(run, store), publish_to(run, store)
    assert again == first.model_copy(update={"uploaded": 0})


@pytest.mark.parametrize("fault", Fault)
def test_an_upload_interrupted_at_any_call_is_completed_by_the_next(
    tmp_path: Path, source: Path, fault: Fault
) -> None:
    """Each call in turn fails, loses its reply, or kills the publisher."""
    for broken in range(1, OBJECTS + 5):
        run = reserve_run(tmp_path / f"home{broken}", source, asset="film", run_id="r1")
        execute(run, source)
        store = open_store(str(tmp_path / f"store{broken}"), S3Options(), make=True)
        faulty = FaultyStore(store, {broken: fault}.get)
        try:
            publish_to(run, faulty, jobs=1)
        except (Unavailable, ProcessDied):
            manifests = [key for key in contents(store) if key.endswith("/manifest.json")]
            assert not manifests or fault is Fault.DROPS_REPLY
        publish_to(run, store)
        assert contents(store) == expected_contents(run)


def test_concurrent_publishers_of_one_run_publish_it_once(
    run: FolderRun, store: ObjectStore
) -> None:
    answers: list[int] = []

    def go() -> None:
        try:
            answers.append(publish_to(FolderRun(run.folder), store).uploaded)
        except Held:
            answers.append(-1)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [count for count in answers if count > 0] == [OBJECTS]
    assert len(contents(store)) == OBJECTS


def test_a_published_run_is_sealed(run: FolderRun, store: ObjectStore, source: Path) -> None:
    publish_to(run, store)
    before = contents(store), run.fold_manifest(None)
    actions: list[Callable[[], object]] = [
        lambda: execute(run, source),
        lambda: execute(run, source, stages=["part"], force=True),
        lambda: _adopt(run),
        lambda: _run_after_deletion(run, source),
    ]
    for action in actions:
        with pytest.raises(Conflict, match="is sealed because it was published") as refused:
            action()
        assert refused.value.extra["reason"] == "sealed"
    assert (contents(store), run.fold_manifest(None)) == before
    assert (run.folder / "manifest.json").read_bytes() == before[1].to_bytes()


def _run_after_deletion(run: FolderRun, source: Path) -> None:
    (run.folder / LETTERS.path).unlink()
    execute(run, source, stages=["part"])


def _adopt(run: FolderRun) -> Manifest:
    scenes = run.folder / SCENES.path
    scenes.write_bytes(b"".join(scenes.read_bytes().splitlines(keepends=True)[:2]))
    return adopt(plan=PLAN, run=run, stage=part, registry=BUILT_IN, clock=lambda: MOMENT, sinks=())


def test_a_run_is_not_sealed_if_the_store_is_unavailable(
    run: FolderRun, source: Path, tmp_path: Path, s3_endpoint: str
) -> None:
    unavailable = open_store("s3://bucket", S3Options(endpoint="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        publish_to(run, unavailable)
    assert run.read_seal() is None
    execute(run, source, stages=["part"], force=True)


@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_run_with_a_changed_or_missing_file_is_not_published(
    run: FolderRun, store: ObjectStore, how: str
) -> None:
    file = run.folder / LETTERS.path
    file.unlink() if how == "missing" else file.write_bytes(file.read_bytes().replace(b"a", b"b"))
    with pytest.raises(Invalid, match=r"letters\.json does not match the manifest"):
        publish_to(run, store)
    assert contents(store) == {}
    assert run.read_seal() is None


def test_a_run_with_a_record_changed_after_the_seal_is_not_published(
    run: FolderRun, store: ObjectStore, tmp_path: Path
) -> None:
    publish_to(run, store)
    record = run.folder / "commits" / "part.a1.json"
    record.write_bytes(record.read_bytes().replace(b'"scenes":3', b'"scenes":4'))
    other = open_store(str(tmp_path / "other"), S3Options(), make=True)
    with pytest.raises(Invalid, match="record of stage part"):
        publish_to(FolderRun(run.folder), other)
    assert contents(other) == {}


def test_a_run_that_is_not_completed_is_not_published(
    tmp_path: Path, source: Path, store: ObjectStore
) -> None:
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source, stages=["read"])
    with pytest.raises(Invalid, match="r1 is not completed"):
        publish_to(run, store)
    assert contents(store) == {}


def test_an_object_with_other_bytes_is_a_conflict_and_is_not_overwritten(
    run: FolderRun, store: ObjectStore
) -> None:
    key = f"runs/rhobh/s05/e02/r1/{LETTERS.path}"
    store.create(key, b"of another installation")
    with pytest.raises(Conflict, match="with other bytes"):
        publish_to(run, store)
    assert contents(store)[key] == b"of another installation"
    assert not any(key.endswith("manifest.json") for key in contents(store))


def test_a_large_file_is_uploaded_in_parts(
    run: FolderRun, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "LARGE_BYTES", 1)
    assert publish_to(run, store).uploaded == OBJECTS
    assert publish_to(run, store).uploaded == 0


def test_a_large_file_that_changes_during_the_upload_is_not_stored_and_can_be_published_later(
    run: FolderRun, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "LARGE_BYTES", 1)
    whole = (run.folder / LETTERS.path).read_bytes()

    def change_file(call: int) -> Fault | None:
        if call > 2:  # after the two calls of the probe
            (run.folder / LETTERS.path).write_bytes(whole.replace(b"a", b"b"))
        return None

    with pytest.raises(Invalid, match="changed during the upload"):
        publish_to(run, FaultyStore(store, change_file), jobs=1)
    assert f"runs/rhobh/s05/e02/r1/{LETTERS.path}" not in contents(store)
    (run.folder / LETTERS.path).write_bytes(whole)
    publish_to(run, store)
    assert contents(store) == expected_contents(run)


def test_a_run_is_published_to_several_stores_with_one_manifest(
    run: FolderRun, store: ObjectStore, bucket: ObjectStore
) -> None:
    first, second = publish_to(run, store), publish_to(run, bucket)
    assert first.manifest_sha256 == second.manifest_sha256
    assert contents(store) == contents(bucket)


def test_the_outbox_announces_a_run_once_and_wakes_listeners(
    run: FolderRun, store: ObjectStore, connection: psycopg.Connection, database_url: str
) -> None:
    announcement = make_announcement(publish_to(run, store))
    with psycopg.connect(database_url, autocommit=True) as other:
        listener = Outbox(other)
        listener.listen()
        outbox = Outbox(connection)
        assert [outbox.announce(announcement), outbox.announce(announcement)] == [True, False]
        (event,) = listener.after(0, 10)
        assert event.origin == announcement.origin
        assert event.manifest_sha256 == announcement.manifest_sha256
        assert len(list(other.notifies(timeout=5, stop_after=1))) == 1
        assert listener.after(event.event_id, 10) == []
