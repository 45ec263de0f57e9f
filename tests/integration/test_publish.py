"""A finished run leaves: whole or not at all, once, and stays as it is from then on."""

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
from filmgate.core.publishing import run_place
from filmgate.db.outbox import Outbox
from filmgate.engine.adoption import adopt
from filmgate.store.addresses import S3Options, open_store
from filmgate.store.run_directory import FolderRun
from filmgate.sync import publish
from filmgate.sync.publish import announcement_of, publish_run
from support.faulty import Fault, FaultyStore, Gone
from support.runs import LETTERS, MOMENT, PLAN, SCENES, execute, part, reserve_run

PIECES = 3 + 3 + 1 + 1
"""Files, records, head, manifest."""


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "store"), S3Options(), make=True)


@pytest.fixture
def run(tmp_path: Path, source: Path) -> FolderRun:
    made = reserve_run(tmp_path / "home", source, asset="rhobh-s05e02", run_id="r1")
    execute(made, source)
    return made


def published(run: FolderRun, store: ObjectStore, jobs: int = 4) -> PublishedAnswer:
    return publish_run(run, store, lambda: MOMENT, lambda done, total: None, concurrency=jobs)


def contents(store: ObjectStore) -> dict[str, bytes]:
    found = {}
    for page in store.pages("runs"):
        for entry in page:
            with store.open(entry.key) as file:
                found[entry.key] = file.read()
    return found


def as_it_lies(run: FolderRun) -> dict[str, bytes]:
    """What has to be in the store, from the run's own folder."""
    manifest = run.refold(None)
    paths = [ref.path for _, _, ref in manifest.artifact_refs]
    paths += [f"commits/{record.name}" for record in run.ledger().records]
    place = run_place(manifest.asset.id, manifest.run_id)
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
def test_an_episode_lies_by_show_season_and_episode_and_all_else_by_asset(
    asset: str, place: str
) -> None:
    assert run_place(asset, "r1") == place


def test_a_run_leaves_with_its_files_its_records_and_its_manifest(
    run: FolderRun, store: ObjectStore
) -> None:
    answer = published(run, store)
    found = contents(store)
    folder = "runs/rhobh/s05/e02/r1"
    assert answer.manifest_key == f"{folder}/manifest.json"
    assert (answer.files, answer.uploaded) == (PIECES, PIECES) == (len(found), len(found))
    manifest = Manifest.parse(found[answer.manifest_key])
    assert sha256_hex(found[answer.manifest_key]) == answer.manifest_sha256
    for _, entry, ref in manifest.artifact_refs:
        assert sha256_hex(found[f"{folder}/{ref.path}"]) == ref.sha256
        assert f"{folder}/{entry.derived_from}" in found
    assert found[f"{folder}/run.json"] == (run.folder / "run.json").read_bytes()


def test_the_manifest_is_the_last_that_is_made(run: FolderRun, store: ObjectStore) -> None:
    faulty = FaultyStore(store)
    published(run, faulty)
    made = [key for name, key in faulty.calls if name == "create"]
    assert made[-1].endswith("/manifest.json")
    assert [key for key in made if key.endswith("/manifest.json")] == made[-1:]


def test_the_same_again_makes_nothing_and_says_so(run: FolderRun, store: ObjectStore) -> None:
    first, again = published(run, store), published(run, store)
    assert again == first.model_copy(update={"uploaded": 0})


@pytest.mark.parametrize("fault", Fault)
def test_broken_off_at_any_call_the_same_again_completes_it(
    tmp_path: Path, source: Path, fault: Fault
) -> None:
    """Every call in turn: it fails, its reply is lost, or the publisher dies in it."""
    for broken in range(1, PIECES + 5):
        run = reserve_run(tmp_path / f"home{broken}", source, asset="film", run_id="r1")
        execute(run, source)
        store = open_store(str(tmp_path / f"store{broken}"), S3Options(), make=True)
        faulty = FaultyStore(store, {broken: fault}.get)
        try:
            published(run, faulty, jobs=1)
        except (Unavailable, Gone):
            manifests = [key for key in contents(store) if key.endswith("/manifest.json")]
            assert not manifests or fault is Fault.DROPS_REPLY
        published(run, store)
        assert contents(store) == as_it_lies(run)


def test_two_that_publish_one_run_at_once_publish_it_once(
    run: FolderRun, store: ObjectStore
) -> None:
    answers: list[int] = []

    def go() -> None:
        try:
            answers.append(published(FolderRun(run.folder), store).uploaded)
        except Held:
            answers.append(-1)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each for each in answers if each > 0] == [PIECES]
    assert len(contents(store)) == PIECES


def test_a_published_run_is_sealed(run: FolderRun, store: ObjectStore, source: Path) -> None:
    published(run, store)
    before = contents(store), run.refold(None)
    doings: list[Callable[[], object]] = [
        lambda: execute(run, source),
        lambda: execute(run, source, stages=["part"], force=True),
        lambda: _adopted(run),
        lambda: _run_on_what_is_gone(run, source),
    ]
    for do in doings:
        with pytest.raises(Conflict, match="was published, and is sealed") as refused:
            do()
        assert refused.value.extra["reason"] == "sealed"
    assert (contents(store), run.refold(None)) == before
    assert (run.folder / "manifest.json").read_bytes() == before[1].to_bytes()


def _run_on_what_is_gone(run: FolderRun, source: Path) -> None:
    (run.folder / LETTERS.path).unlink()
    execute(run, source, stages=["part"])


def _adopted(run: FolderRun) -> Manifest:
    scenes = run.folder / SCENES.path
    scenes.write_bytes(b"".join(scenes.read_bytes().splitlines(keepends=True)[:2]))
    return adopt(plan=PLAN, run=run, stage=part, registry=BUILT_IN, clock=lambda: MOMENT, sinks=())


def test_a_run_that_never_left_is_not_sealed_by_a_store_that_will_not_do(
    run: FolderRun, source: Path, tmp_path: Path, s3_endpoint: str
) -> None:
    away = open_store("s3://bucket", S3Options(endpoint="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        published(run, away)
    assert run.seal_there() is None
    execute(run, source, stages=["part"], force=True)


@pytest.mark.parametrize("how", ["altered", "gone"])
def test_a_run_whose_files_are_not_whole_does_not_leave(
    run: FolderRun, store: ObjectStore, how: str
) -> None:
    file = run.folder / LETTERS.path
    file.unlink() if how == "gone" else file.write_bytes(file.read_bytes().replace(b"a", b"b"))
    with pytest.raises(Invalid, match=r"letters\.json is not what the manifest says"):
        published(run, store)
    assert contents(store) == {}
    assert run.seal_there() is None


def test_a_record_that_was_altered_after_the_seal_does_not_leave(
    run: FolderRun, store: ObjectStore, tmp_path: Path
) -> None:
    published(run, store)
    record = run.folder / "commits" / "part.a1.json"
    record.write_bytes(record.read_bytes().replace(b'"scenes":3', b'"scenes":4'))
    other = open_store(str(tmp_path / "other"), S3Options(), make=True)
    with pytest.raises(Invalid, match="record of stage part"):
        published(FolderRun(run.folder), other)
    assert contents(other) == {}


def test_a_run_that_is_not_completed_does_not_leave(
    tmp_path: Path, source: Path, store: ObjectStore
) -> None:
    run = reserve_run(tmp_path / "home", source, run_id="r1")
    execute(run, source, stages=["read"])
    with pytest.raises(Invalid, match="r1 is not completed"):
        published(run, store)
    assert contents(store) == {}


def test_other_bytes_in_its_place_are_a_conflict_and_stay(
    run: FolderRun, store: ObjectStore
) -> None:
    key = f"runs/rhobh/s05/e02/r1/{LETTERS.path}"
    store.create(key, b"of another installation")
    with pytest.raises(Conflict, match="with other bytes"):
        published(run, store)
    assert contents(store)[key] == b"of another installation"
    assert not any(each.endswith("manifest.json") for each in contents(store))


def test_a_large_file_leaves_in_parts(
    run: FolderRun, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "LARGE_BYTES", 1)
    assert published(run, store).uploaded == PIECES
    assert published(run, store).uploaded == 0


def test_a_large_file_that_changes_on_its_way_makes_nothing_and_can_be_published_later(
    run: FolderRun, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "LARGE_BYTES", 1)
    whole = (run.folder / LETTERS.path).read_bytes()

    def late(call: int) -> Fault | None:
        if call > 2:  # the probe's
            (run.folder / LETTERS.path).write_bytes(whole.replace(b"a", b"b"))
        return None

    with pytest.raises(Invalid, match="changed on its way"):
        published(run, FaultyStore(store, late), jobs=1)
    assert f"runs/rhobh/s05/e02/r1/{LETTERS.path}" not in contents(store)
    (run.folder / LETTERS.path).write_bytes(whole)
    published(run, store)
    assert contents(store) == as_it_lies(run)


def test_a_run_is_published_to_several_stores_with_one_manifest(
    run: FolderRun, store: ObjectStore, bucket: ObjectStore
) -> None:
    here, there = published(run, store), published(run, bucket)
    assert here.manifest_sha256 == there.manifest_sha256
    assert contents(store) == contents(bucket)


def test_the_outbox_tells_of_a_run_once_and_wakes_who_listens(
    run: FolderRun, store: ObjectStore, connection: psycopg.Connection, database_url: str
) -> None:
    told = announcement_of(published(run, store))
    with psycopg.connect(database_url, autocommit=True) as other:
        hearing = Outbox(other)
        hearing.listen()
        outbox = Outbox(connection)
        assert [outbox.announce(told), outbox.announce(told)] == [True, False]
        (event,) = hearing.after(0, 10)
        assert (event.origin, event.manifest_sha256) == (told.origin, told.manifest_sha256)
        assert len(list(other.notifies(timeout=5, stop_after=1))) == 1
        assert hearing.after(event.event_id, 10) == []
