"""Known people: faces that a user named and that later runs recognise."""

from collections.abc import Iterator
from contextlib import contextmanager

from filmgate.core.answers import PersonAnswer
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.people import PEOPLE, FaceCluster
from filmgate.core.plan import Producer
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.people import PeopleStore
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from filmgate.store.snapshots import Snapshots
from filmgate.sync.verified_files import VerifiedRun
from filmgate.wiring import pipelines
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

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

    def name(self, cluster: str, name: str, reference: str | None) -> PersonAnswer:
        """Name the person of a cluster.

        `reference` names a run, or an asset, which means the run from which its screen time is
        served. The default is the only video that has runs in the home. Raises Invalid for an
        invalid name, NotFound for an unknown cluster.
        """
        name = _normalise_name(name)
        run, faces, producer = self._find_cluster(cluster, reference)
        with self.store() as store:
            return store.name(
                run.head.asset.id,
                run.head.run_id,
                faces.cluster_id,
                name,
                producer,
                faces.vector,
                faces.vector_sha256,
            )

    def unname(self, cluster: str, reference: str | None) -> None:
        """Remove the name of a cluster. `reference` is described at `name`."""
        run, faces, _ = self._find_cluster(cluster, reference)
        with self.store() as store:
            store.unname(run.head.asset.id, run.head.run_id, faces.cluster_id)

    def rename(self, person: str, name: str) -> PersonAnswer:
        """Rename a known person."""
        with self.store() as store:
            return store.rename(person, _normalise_name(name))

    def remove(self, person: str) -> PersonAnswer:
        """Remove a known person with all faces, also from the snapshots of earlier runs."""
        with self.store() as store:
            removed = store.remove(person)
        for snapshot in self._snapshots.folder.glob("*.json"):
            if f'"person_id":"{removed.person_id}"'.encode() in snapshot.read_bytes():
                snapshot.unlink(missing_ok=True)
        return removed

    def known(self) -> bytes | None:
        """Return all known people as a file; None if no people are known."""
        with self.store() as store:
            known = store.known()
        return known.to_bytes() if known.people else None

    def _find_cluster(
        self, cluster: str, reference: str | None
    ) -> tuple[FolderRun, FaceCluster, Producer]:
        """Return the run, the faces of the cluster, and the model of their embeddings."""
        run = self._find_run(reference or self._only_asset())
        read = pipelines.load(run.head.pipeline).face_clusters
        name = f"run {run.head.run_id} of {run.head.asset.id}"
        if read is None:
            raise NotFound(
                f"{name} has no face clusters",
                expected="a run of a pipeline that clusters faces",
                got=f"a run of {run.head.pipeline}",
            )
        try:
            found = read(VerifiedRun(run, run.fold_manifest(None)))
        except NotFound as error:
            raise NotFound(
                f"{name} has no face clusters",
                expected="a run whose stages that find and cluster faces succeeded",
                got=error.message,
            ) from error
        for faces in found.clusters:
            if faces.cluster_id == cluster:
                return run, faces, found.producer
        known = ", ".join(faces.cluster_id for faces in found.clusters) or "none"
        raise NotFound(
            f"{name} has no cluster {cluster!r}", expected=f"one of {known}", got=cluster
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
        """Return the only video with a run that clusters faces; else raise Invalid."""
        known = {each.plan.pipeline for each in pipelines.load_all() if each.face_clusters}
        assets = sorted({r.head.asset.id for r in self._home.runs() if r.head.pipeline in known})
        if len(assets) != 1:
            raise Invalid(
                "the video of the cluster is not specified",
                expected="--in ASSET, or --in ASSET/RUN",
                got=f"{len(assets)} videos: {', '.join(assets[:5])}" if assets else "none",
            )
        return assets[0]

    @contextmanager
    def store(self) -> Iterator[PeopleStore]:
        """Open a database session with the known people."""
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
