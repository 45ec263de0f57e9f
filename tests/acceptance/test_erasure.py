"""Erasure of a person: afterwards no byte of the home contains the name, a vector or a crop."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from filmgate.core.digest import canonical_json
from filmgate.core.errors import Conflict, Held, Invalid, NotFound
from filmgate.core.manifest import Manifest
from filmgate.core.plan import Producer
from filmgate.core.progress import NullObserver, ignore_progress
from filmgate.core.records import ERASED
from filmgate.core.states import RunState, StageState
from filmgate.db.access import AccessStore
from filmgate.db.people import PeopleStore
from filmgate.services.erasure import ErasureService
from filmgate.services.people import PeopleService
from filmgate.services.queries.provenance import PROVENANCE, ProvenanceParameters
from filmgate.services.query_context import DatabaseQueries
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs
from filmgate.services.sync import Sync
from filmgate.wiring.clock import utc_now
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings
from support.command import Filmgate
from support.portraits import film_of_people

NAME, OTHER = "Zelda Quibblethorpe", "Otto Brummkreisel"
STRANGER = Producer(name="other", version="1")
SLICE = 48
"""Length of the part of a vector or crop that is searched, in bytes."""


@dataclass
class Needles:
    """Bytes that identify a person, by what they are."""

    found: dict[str, bytes] = field(default_factory=dict)

    def add_run(self, folder: Path, cluster: str) -> None:
        """Add the vectors and crops of a cluster."""
        lines = (folder / "identities.jsonl").read_text().splitlines()
        identity = next(one for one in map(json.loads, lines) if one["identity_id"] == cluster)
        key = f"{folder.name} {cluster}"
        self._add_vector(f"{key} mean", np.array(identity["vector"]))
        faces = [json.loads(line) for line in (folder / "faces.jsonl").read_text().splitlines()]
        vectors = np.load(folder / "faces.npy")
        with zipfile.ZipFile(folder / "crops/faces.zip") as crops:
            for face in faces:
                if face["track_id"] in identity["track_ids"]:
                    self._add_vector(f"{key} {face['crop']}", vectors[face["face_index"]])
                    picture = crops.read(face["crop"])
                    middle = len(picture) // 2
                    self.found[f"{key} {face['crop']} bytes"] = picture[middle : middle + SLICE]

    def _add_vector(self, name: str, vector: Any) -> None:
        part = vector[:6]
        self.found[f"{name} float32"] = part.astype("<f4").tobytes()
        self.found[f"{name} float64"] = part.astype("<f8").tobytes()
        self.found[f"{name} JSON"] = canonical_json([float(x) for x in part])[1:-1]

    def in_folder(self, home: Path) -> dict[str, set[str]]:
        """Return the needles that occur in each file; in files of ZIP archives, too."""
        hits: dict[str, set[str]] = {}
        for path in home.rglob("*"):
            if not path.is_file():
                continue
            data = path.read_bytes()
            if zipfile.is_zipfile(io.BytesIO(data)):
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    data += b"".join(map(archive.read, archive.namelist()))
            lower = data.lower()
            names = {
                name
                for name, needle in self.found.items()
                if needle in data or (name == "name" and needle.lower() in lower)
            }
            if names:
                hits[str(path.relative_to(home))] = names
        return hits


class World:
    """A home with an embedded database, in which two runs show two people."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.film = root / "film.mkv"
        self.settings = Settings(home=self.home)
        self.runs = Runs(self.settings)

    def run(self, run_id: str, **options: Any) -> Manifest:
        chosen = RunOptions(profile="fast", run_id=run_id, **options)
        return self.runs.run("episode", self.film, chosen, NullObserver(), ignore_progress).manifest

    def folder(self, run_id: str) -> Path:
        return self.runs.find(f"film/{run_id}").folder

    def erase(self, **options: Any) -> Any:
        return ErasureService(self.settings).erase(NAME, **options)

    def people(self, run_id: str) -> dict[str, Any]:
        times = json.loads((self.folder(run_id) / "screentime.json").read_bytes())
        return {person["identity_id"]: person for person in times["people"]}

    def needles(self) -> Needles:
        needles = Needles({"name": NAME.encode(), "id": b"zelda-quibblethorpe"})
        for run_id in ("first", "second"):
            needles.add_run(self.folder(run_id), "c1")
        return needles


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home: two people are named in the first run and recognised in the second."""
    root = tmp_path_factory.mktemp("erasure")
    world = World(root)
    film_of_people(world.film)
    with Database(world.settings).keep_running():
        assert world.run("first").status is RunState.SUCCESS
        people = PeopleService(world.settings)
        people.name("c1", NAME, "film/first")
        people.name("c2", OTHER, "film/first")
        with people.store() as stored:
            stored.name("elsewhere", "r1", "c1", "Nora", STRANGER, [9.0] * 128, "d" * 64)
        world.run("first")
        world.run("second")
        Sync(world.settings).publish("film/second", str(root / "store"), ignore_progress)
    return root


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(made / "home", tmp_path / "home", copy_function=_copy_owned)
    shutil.copy(made / "film.mkv", tmp_path / "film.mkv")
    shutil.copytree(made / "store", tmp_path / "store")
    for path in (made / "home", *(made / "home").rglob("*")):
        copy = tmp_path / "home" / path.relative_to(made / "home")
        os.chown(copy, path.stat().st_uid, path.stat().st_gid)
    yield World(tmp_path)
    Database(Settings(home=tmp_path / "home")).stop()


def _copy_owned(source: str, target: str) -> str:
    return shutil.copy2(source, target)


def test_after_an_erasure_no_byte_of_the_home_shows_the_person(world: World) -> None:
    needles = world.needles()
    before = needles.in_folder(world.home)
    hits = {hit for names in before.values() for hit in names}
    stored = {n for n in needles.found if n.endswith(("png float32", "bytes", "mean JSON"))}
    assert hits >= stored | {"name", "id", "first c1 mean float64"}
    answer = world.erase()
    assert [(run.run_id, run.clusters, run.is_sealed) for run in answer.runs] == [
        ("first", ("c1",), False),
        ("second", ("c1",), True),
    ]
    Database(world.settings).stop()
    assert needles.in_folder(world.home) == {}


def test_verify_is_green_and_nothing_is_due_after_an_erasure(world: World) -> None:
    world.erase()
    before = world.runs.find("film/first").fold_manifest(None)
    attempts = {name: entry.attempt for name, entry in before.stages.items()}
    for run_id in ("first", "second"):
        _, manifest = world.runs.verify(f"film/{run_id}")
        assert (manifest.status, manifest.is_erased) == (RunState.SUCCESS, True)
        assert not any(entry.blocked for entry in manifest.stages.values())
    again = world.run("first", ingest=False)
    assert {name: entry.attempt for name, entry in again.stages.items()} == attempts


@pytest.mark.proof
def test_the_other_person_and_their_numbers_stay(world: World) -> None:
    before = world.people("second")
    world.erase()
    assert world.people("second") == {"c2": before["c2"]}
    table = pq.read_table(world.folder("second") / "exports/segments.parquet").to_pylist()
    assert {row["identity"] for row in table} == {OTHER}
    with Database(world.settings).session() as connection:
        rows = connection.execute(
            "select run_id, identity_id from product_person_metrics order by run_id"
        ).fetchall()
    assert rows == [("first", "c2"), ("second", "c2")]


def test_a_sealed_run_gets_a_new_seal_and_its_copy_is_listed(world: World) -> None:
    folder = world.folder("second")
    published = json.loads((folder / "seal.json").read_bytes())["manifest"]
    answer = world.erase()
    (copy,) = answer.published
    assert (copy.run_id, copy.manifest_key) == ("second", "runs/film/second/manifest.json")
    seal = world.runs.find("film/second").read_seal()
    assert seal is not None
    assert seal.manifest != published
    assert Manifest.parse((folder / "manifest.json").read_bytes()).is_erased
    with pytest.raises(Conflict):
        world.run("second", force=True)
    with pytest.raises(Conflict):
        Sync(world.settings).publish("film/second", copy.source, ignore_progress)


@pytest.mark.proof
def test_a_product_gets_the_erased_run_and_never_the_published_one_again(world: World) -> None:
    sync, store = Sync(world.settings), str(world.root / "store")

    def ingest(*, retry: bool) -> None:
        sync.run_once(store, "screenalytics", lambda _: None, retry=retry, dry_run=False)

    ingest(retry=False)
    world.erase()
    ingest(retry=True)
    with Database(world.settings).session() as connection:
        rows = connection.execute(
            "select identity_id from product_person_metrics where run_id = 'second'"
        ).fetchall()
    assert rows == [("c2",)]


def test_the_erasure_of_someone_else_makes_nothing_due_and_changes_no_published_run(
    world: World,
) -> None:
    seal = world.folder("second") / "seal.json"
    sealed = seal.read_bytes()
    answer = ErasureService(world.settings).erase("Nora")
    assert answer.runs == ()
    assert seal.read_bytes() == sealed
    erased = world.runs.find("film/first").fold_manifest(None)
    again = world.run("first", ingest=False)
    assert again.status is RunState.SUCCESS
    assert {name: entry.attempt for name, entry in again.stages.items()} == {
        name: entry.attempt for name, entry in erased.stages.items()
    }


@pytest.mark.proof
def test_provenance_names_the_erasure_and_the_program_before_it(world: World) -> None:
    before = world.runs.verify("film/second")[1].stages["cluster"].producer
    world.erase()
    parameters = ProvenanceParameters(artifact_id="film:second:face.detection:0")
    answer = DatabaseQueries(world.settings).ask(PROVENANCE, parameters)
    assert answer.artifact.producer == "erasure"
    assert (answer.chain[0].stage, answer.chain[0].attempt) == ("cluster", 2)
    entry = world.runs.verify("film/second")[1].stages["cluster"]
    assert entry.reason == ERASED
    assert before is not None
    assert f"files of {before.name} {before.version}" in str(entry.warnings[0]["message"])


@pytest.mark.proof
def test_a_dry_run_reports_and_changes_nothing(world: World) -> None:
    needles = world.needles()
    before = needles.in_folder(world.home)
    answer = world.erase(dry_run=True)
    assert [run.run_id for run in answer.runs] == ["first", "second"]
    Database(world.settings).stop()
    after = needles.in_folder(world.home)
    assert not (world.home / "erasures").exists()
    assert {run.files for run in answer.runs} == {run.files for run in world.erase().runs}
    Database(world.settings).stop()
    unchanged = {path for path in before if not path.startswith("pg/")}
    assert {path for path in after if not path.startswith("pg/")} == unchanged


ERASE_AND_DIE = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from filmgate.services.erasure import ErasureService
from filmgate.wiring.settings import Settings

home, name, place, left = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
module, owner, method = place.split(":")
owner = getattr(import_module(module), owner)
original = getattr(owner, method)

def die_at_last(*given, **named):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*given, **named)

setattr(owner, method, die_at_last)
ErasureService(Settings(home=Path(home))).erase(name)
"""
RUN = "filmgate.store.run_directory:FolderRun"
SERVICE, STORE = "filmgate.services.erasure:ErasureService", "filmgate.db.erasure:ErasureStore"
MOMENTS = [
    (f"{RUN}:_install", 3),
    (f"{STORE}:compact", 1),
    *(
        pytest.param(place, count, marks=pytest.mark.proof)
        for place, count in [
            (f"{RUN}:begin", 1),
            (f"{RUN}:commit", 1),
            (f"{RUN}:seal", 1),
            (f"{SERVICE}:_remove_snapshots", 1),
            (f"{RUN}:begin", 7),
            (f"{RUN}:commit", 9),
            (f"{RUN}:close", 1),
            (f"{RUN}:close", 2),
            (f"{SERVICE}:_save_plan", 2),
            (f"{SERVICE}:_mask_logs", 1),
            (f"{STORE}:remove", 1),
            (f"{STORE}:remove_write_ahead_log", 1),
        ]
    ),
]
"""Methods before whose call, by its number, the process is killed."""


@pytest.mark.parametrize(("place", "count"), MOMENTS)
def test_a_killed_erasure_is_completed_by_the_same_request(
    world: World, place: str, count: int
) -> None:
    needles = world.needles()
    command = [sys.executable, "-c", ERASE_AND_DIE, str(world.home), NAME, place, str(count)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (world.home / "erasures").is_dir() or place.endswith("_save_plan")
    world.erase()
    Database(world.settings).stop()
    assert needles.in_folder(world.home) == {}
    for run_id in ("first", "second"):
        manifest = world.runs.verify(f"film/{run_id}")[1]
        assert manifest.status is RunState.SUCCESS
        assert not any(entry.blocked for entry in manifest.stages.values())
    assert world.people("second").keys() == {"c2"}
    with pytest.raises(NotFound):
        world.erase()


def test_a_run_in_progress_delays_the_erasure(world: World) -> None:
    with (
        world.runs.find("film/first").acquire_lease(utc_now()),
        pytest.raises(Held, match="is held by another runner"),
    ):
        world.erase()
    assert world.people("second").keys() == {"c2"}
    with Database(world.settings).session() as connection:
        assert len(PeopleStore(connection).all().people) == 3
    assert [run.run_id for run in world.erase().runs] == ["first", "second"]
    assert world.people("first").keys() == {"c2"}


def test_an_interrupted_erasure_is_completed_although_the_person_is_no_longer_known(
    world: World,
) -> None:
    needles = world.needles()
    lease = world.runs.find("film/first").acquire_lease(utc_now())
    with Database(world.settings).keep_running():
        with lease, pytest.raises(Held):
            world.erase()
        with Database(world.settings).session() as connection:
            PeopleStore(connection).remove_id("zelda-quibblethorpe")
        with pytest.raises(Invalid, match="cannot be continued by the id"):
            ErasureService(world.settings).erase("zelda-quibblethorpe")
        assert [run.run_id for run in world.erase().runs] == ["first", "second"]
    Database(world.settings).stop()
    assert needles.in_folder(world.home) == {}
    assert world.people("first").keys() == {"c2"}


def test_a_done_run_that_shows_the_person_again_is_erased_again(world: World) -> None:
    with Database(world.settings).keep_running():
        with world.runs.find("film/second").acquire_lease(utc_now()), pytest.raises(Held):
            world.erase()
        assert world.people("first").keys() == {"c2"}
        world.run("first", force=True)
        assert world.people("first").keys() == {"c1", "c2"}
        needles = world.needles()
        world.erase()
    Database(world.settings).stop()
    assert needles.in_folder(world.home) == {}
    assert world.people("first").keys() == {"c2"}


@pytest.mark.proof
def test_a_file_that_was_altered_by_hand_is_not_overwritten(world: World) -> None:
    path = world.folder("first") / "screentime.json"
    edited = path.read_bytes().replace(b'"appearances":1', b'"appearances":7', 1)
    path.write_bytes(edited)
    with pytest.raises(Invalid, match=r"screentime\.json was changed"):
        world.erase()
    assert path.read_bytes() == edited


@pytest.mark.proof
def test_a_run_that_stopped_before_its_faces_were_clustered_is_erased(world: World) -> None:
    manifest = world.run("half", stages=("probe", "scenes", "detect", "faces"))
    assert manifest.stages["cluster"].status is StageState.PENDING
    before = np.load(world.folder("half") / "faces.npy")
    world.erase()
    after = np.load(world.folder("half") / "faces.npy")
    assert 0 < len(after) < len(before)


def test_the_command_erases_a_person_and_names_copies(world: World) -> None:
    filmgate = Filmgate(world.home)
    planned = filmgate.json("remove", "person", NAME.upper(), "--dry-run")
    assert (planned["person_id"], planned["is_dry_run"]) == ("zelda-quibblethorpe", True)
    done = filmgate("people", "remove", "zelda-quibblethorpe")
    assert done.returncode == 0, done.stderr
    assert f"erased {NAME} (zelda-quibblethorpe) from 2 runs" in done.stdout
    assert "film/second  clusters c1" in done.stdout
    assert "/runs/film/second/manifest.json" in done.stdout
    assert filmgate("remove", "person", NAME).returncode == 5
    audit = Database(world.settings)
    with audit.session() as connection:
        (entry,) = AccessStore(connection).audit_entries(10, None).entries
    assert (entry.action, entry.target, entry.details) == ("people remove", "person", {"runs": "2"})


def test_the_command_prints_one_json_document(world: World) -> None:
    done = Filmgate(world.home)("remove", "person", NAME, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["is_dry_run"] is False


def test_an_ingested_run_outside_the_home_is_named_as_not_searched(world: World) -> None:
    outside = world.root / "outside" / "third"
    chosen = RunOptions(profile="fast", job_dir=str(outside))
    world.runs.run("episode", world.film, chosen, NullObserver(), ignore_progress)
    note = f"film/third was not searched: file://{outside} is not in the home"
    assert note in world.erase(dry_run=True).notes
    assert note in world.erase().notes


@pytest.mark.proof
def test_people_of_a_real_clip_are_erased(tmp_path: Path, test_data: Path) -> None:
    world = World(tmp_path)
    world.film = test_data / "faces/talk_dev_3people.mp4"
    with Database(world.settings).keep_running():
        asset = world.run("first").asset.id
        PeopleService(world.settings).name("c1", NAME, f"{asset}/first")
        world.run("first")
    folder = world.runs.find(f"{asset}/first").folder
    needles = Needles({"name": NAME.encode(), "id": b"zelda-quibblethorpe"})
    needles.add_run(folder, "c1")
    clusters = len((folder / "identities.jsonl").read_text().splitlines())
    (erased,) = world.erase().runs
    Database(world.settings).stop()
    assert needles.in_folder(world.home) == {}
    left = len((folder / "identities.jsonl").read_text().splitlines())
    assert left == clusters - len(erased.clusters)
    assert world.runs.verify(f"{asset}/first")[1].status is RunState.SUCCESS
