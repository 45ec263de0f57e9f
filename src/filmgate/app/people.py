"""Known people: named by somebody who looked, recognised in the runs that follow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.app.database import Database
from filmgate.app.settings import Settings
from filmgate.core.answers import PeopleAnswer, PersonAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.people import PEOPLE
from filmgate.core.records import RunHead
from filmgate.core.resources import Resource
from filmgate.store.home import Home
from filmgate.store.snapshots import Snapshots

if TYPE_CHECKING:
    from filmgate.core.manifest import Manifest
    from filmgate.db.people import People as Stored
    from filmgate.store.run_directory import FolderRun

EPISODE = "episode"

SNAPSHOTS = "people"
"""The folder in the home."""

LONGEST_NAME = 200


class People:
    """The face bank of these settings. Each call is a session of its own."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._home = Home(settings.home.expanduser())
        self._database = database or Database(settings)
        self._snapshots = Snapshots(self._home.root / SNAPSHOTS, PEOPLE)

    def all(self) -> PeopleAnswer:
        """Everybody, and by which clusters they are known."""
        with self._stored() as stored:
            return stored.all()

    def name(self, cluster: str, name: str, reference: str | None) -> PersonAnswer:
        """Say who a cluster of a run is: `reference` is a run, or an asset for the run that its
        screen time is served from; without it, the only asset that there is.

        Raises Invalid for a name that is none.
        """
        name = _plain_name(name)
        run, identity, model = self._identity(cluster, reference)
        with self._stored() as stored:
            return stored.name(
                run.head.asset.id,
                run.head.run_id,
                identity.identity_id,
                name,
                model.producer,
                identity.vector,
                identity.vector_sha256,
            )

    def unname(self, cluster: str, reference: str | None) -> None:
        """Take a cluster's name back."""
        run, identity, _ = self._identity(cluster, reference)
        with self._stored() as stored:
            stored.unname(run.head.asset.id, run.head.run_id, identity.identity_id)

    def rename(self, person: str, name: str) -> PersonAnswer:
        """Give a known person another name."""
        with self._stored() as stored:
            return stored.rename(person, _plain_name(name))

    def remove(self, person: str) -> PersonAnswer:
        """Forget a known person, with all faces: those in the snapshots of earlier runs too."""
        with self._stored() as stored:
            removed = stored.remove(person)
        for snapshot in self._snapshots.folder.glob("*.json"):
            if f'"person_id":"{removed.person_id}"'.encode() in snapshot.read_bytes():
                snapshot.unlink(missing_ok=True)
        return removed

    def snapshot(self, sha256: str) -> Resource | None:
        """The people that an earlier run consulted; None where that snapshot is gone."""
        return self._snapshots.there(sha256)

    def resource(self, _head: RunHead | None = None) -> Resource | None:
        """Everybody as a run consults them: a snapshot in the home, named by its digest; None
        where nobody is known. An embedded database that was never made is not made for this."""
        if not self._database.is_made():
            return None
        with self._stored() as stored:
            known = stored.known()
        if not known.people:
            return None
        return self._snapshots.keep(known.to_bytes())

    def _identity(self, cluster: str, reference: str | None) -> "tuple[FolderRun, Any, Any]":
        """The run, the identity and the model of its vectors, from the run's own files."""
        from filmgate.pipelines.episode.files import FACE_MODEL, IDENTITIES  # heavy
        from filmgate.pipelines.episode.records import FaceModel, Identity

        run = self._run(reference or self._only_asset())
        manifest = run.refold(None)
        lines = _verified(run, manifest, IDENTITIES.path).splitlines()
        model = FaceModel.model_validate_json(_verified(run, manifest, FACE_MODEL.path))
        identities = [Identity.model_validate_json(line) for line in lines]
        for identity in identities:
            if identity.identity_id == cluster:
                return run, identity, model
        known = ", ".join(each.identity_id for each in identities) or "none"
        raise NotFound(
            f"run {run.head.run_id} of {run.head.asset.id} has no cluster {cluster!r}",
            expected=f"one of {known}",
            got=cluster,
        )

    def _run(self, reference: str) -> "FolderRun":
        """A run; of an asset, the one that its screen time is served from, or where the database
        knows none, its newest."""
        newest = self._home.find(reference)
        if reference != newest.head.asset.id:
            return newest
        from filmgate.db.serving import Serving  # slow, and not always needed

        try:
            with self._database.session() as connection:
                runs = Serving(connection).screentime(AssetId(reference)).runs
        except NotFound:
            return newest
        return self._home.find(f"{reference}/{next(iter(runs.values()))}")

    def _only_asset(self) -> str:
        """The only video that was looked at."""
        assets = sorted({r.head.asset.id for r in self._home.runs() if r.head.pipeline == EPISODE})
        if len(assets) != 1:
            raise Invalid(
                "say in which video the cluster is",
                expected="--in ASSET, or --in ASSET/RUN",
                got=f"{len(assets)} videos: {', '.join(assets[:5])}" if assets else "none",
            )
        return assets[0]

    @contextmanager
    def _stored(self) -> "Iterator[Stored]":
        from filmgate.db.people import People as Stored  # slow, and not always needed

        with self._database.session() as connection:
            yield Stored(connection)


def _plain_name(name: str) -> str:
    """A name without blanks around it; Invalid where nothing is left, or it steers terminals."""
    plain = " ".join(name.split())
    if not plain or len(plain) > LONGEST_NAME or not plain.isprintable():
        raise Invalid(
            "this is no name for a person",
            expected=f"1 to {LONGEST_NAME} printable characters",
            got=repr(name[:50]),
        )
    return plain


def _verified(run: "FolderRun", manifest: "Manifest", path: str) -> bytes:
    """A file of a run as the run's records name it."""
    for _, _, ref in manifest.artifact_refs:
        if ref.path == path:
            data = Path(run.path_of(path)).read_bytes() if run.facts(path) else b""
            if sha256_hex(data) != ref.sha256:
                raise Invalid(
                    f"{path} is not what the run made",
                    expected=f"sha256 {ref.sha256}",
                    got=f"sha256 {sha256_hex(data)}",
                    hint="filmgate run with --repair makes it again",
                )
            return data
    raise NotFound(
        f"run {manifest.run_id} of {manifest.asset.id} has no people",
        expected=f"{path}, which stage cluster makes",
        got="none",
    )
