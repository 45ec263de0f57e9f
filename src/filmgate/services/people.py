"""Known people: faces that a user named and that later runs recognise."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filmgate.core.answers import PeopleAnswer, PersonAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.manifest import Manifest
from filmgate.core.people import PEOPLE
from filmgate.core.records import changed_file_error
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.people import PeopleStore
from filmgate.pipelines.episode.files import FACE_MODEL, IDENTITIES
from filmgate.pipelines.episode.records import FaceModel, Identity
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from filmgate.store.snapshots import Snapshots
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

EPISODE = "episode"

SNAPSHOTS = "people"
"""Folder of the snapshots in the home."""

MAX_NAME = 200
"""Length limit of a person's name, in characters."""


class PeopleService:
    """Manages known people. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._home = Home(settings.home.expanduser())
        self._database = database or Database(settings)
        self._snapshots = Snapshots(self._home.root / SNAPSHOTS, PEOPLE)

    def all(self) -> PeopleAnswer:
        """List all known people with their clusters."""
        with self._store() as store:
            return store.all()

    def name(self, cluster: str, name: str, reference: str | None) -> PersonAnswer:
        """Name the person of a cluster.

        `reference` names a run, or an asset, which means the run from which its screen time is
        served. The default is the only video that has runs in the home. Raises Invalid for an
        invalid name, NotFound for an unknown cluster.
        """
        name = _normalise_name(name)
        run, identity, model = self._find_identity(cluster, reference)
        with self._store() as store:
            return store.name(
                run.head.asset.id,
                run.head.run_id,
                identity.identity_id,
                name,
                model.producer,
                identity.vector,
                identity.vector_sha256,
            )

    def unname(self, cluster: str, reference: str | None) -> None:
        """Remove the name of a cluster. `reference` is described at `name`."""
        run, identity, _ = self._find_identity(cluster, reference)
        with self._store() as store:
            store.unname(run.head.asset.id, run.head.run_id, identity.identity_id)

    def rename(self, person: str, name: str) -> PersonAnswer:
        """Rename a known person."""
        with self._store() as store:
            return store.rename(person, _normalise_name(name))

    def remove(self, person: str) -> PersonAnswer:
        """Remove a known person with all faces, also from the snapshots of earlier runs."""
        with self._store() as store:
            removed = store.remove(person)
        for snapshot in self._snapshots.folder.glob("*.json"):
            if f'"person_id":"{removed.person_id}"'.encode() in snapshot.read_bytes():
                snapshot.unlink(missing_ok=True)
        return removed

    def known(self) -> bytes | None:
        """Return all known people as a file; None if no people are known."""
        with self._store() as store:
            known = store.known()
        return known.to_bytes() if known.people else None

    def _find_identity(self, cluster: str, reference: str | None) -> tuple[FolderRun, Any, Any]:
        """Return the run, the cluster's identity and the face model, read from the run's files."""
        run = self._find_run(reference or self._only_asset())
        manifest = run.fold_manifest(None)
        lines = _read_verified(run, manifest, IDENTITIES.path).splitlines()
        model = FaceModel.model_validate_json(_read_verified(run, manifest, FACE_MODEL.path))
        identities = [Identity.model_validate_json(line) for line in lines]
        for identity in identities:
            if identity.identity_id == cluster:
                return run, identity, model
        known = ", ".join(identity.identity_id for identity in identities) or "none"
        raise NotFound(
            f"run {run.head.run_id} of {run.head.asset.id} has no cluster {cluster!r}",
            expected=f"one of {known}",
            got=cluster,
        )

    def _find_run(self, reference: str) -> FolderRun:
        """Return the run that `reference` names. For an asset, return the run from which its screen
        time is served, or else its newest run."""
        newest = self._home.find(reference)
        if reference != newest.head.asset.id:
            return newest

        try:
            with self._database.session() as connection:
                runs = ArtifactQueries(connection).screentime(AssetId(reference)).runs
        except NotFound:
            return newest
        return self._home.find(f"{reference}/{next(iter(runs.values()))}")

    def _only_asset(self) -> str:
        """Return the only video with a run of the episode pipeline; else raise Invalid."""
        assets = sorted({r.head.asset.id for r in self._home.runs() if r.head.pipeline == EPISODE})
        if len(assets) != 1:
            raise Invalid(
                "the video of the cluster is not specified",
                expected="--in ASSET, or --in ASSET/RUN",
                got=f"{len(assets)} videos: {', '.join(assets[:5])}" if assets else "none",
            )
        return assets[0]

    @contextmanager
    def _store(self) -> Iterator[PeopleStore]:
        with self._database.session() as connection:
            yield PeopleStore(connection)


def _normalise_name(name: str) -> str:
    """Return a name with normalised white space.

    Raises Invalid if the name is empty, too long, or contains unprintable characters, which a
    terminal could interpret.
    """
    normalised = " ".join(name.split())
    if not normalised or len(normalised) > MAX_NAME or not normalised.isprintable():
        raise Invalid(
            "the name of the person is invalid",
            expected=f"1 to {MAX_NAME} printable characters",
            got=repr(name[:50]),
        )
    return normalised


def _read_verified(run: FolderRun, manifest: Manifest, path: str) -> bytes:
    """Read a file of a run; raises Invalid if its digest does not match the record."""
    for _, _, ref in manifest.artifact_refs:
        if ref.path == path:
            data = Path(run.path_of(path)).read_bytes() if run.facts(path) else None
            found = None if data is None else sha256_hex(data)
            if data is None or found != ref.sha256:
                hint = "Run the pipeline with --repair"
                raise changed_file_error(Invalid, ref, found, "the run", hint)
            return data
    raise NotFound(
        f"run {manifest.run_id} of {manifest.asset.id} has no face clusters",
        expected=f"{path} of stage cluster",
        got="none",
    )
