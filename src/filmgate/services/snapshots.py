"""Snapshots of the database that stages read as resources."""

from collections.abc import Callable, Mapping
from functools import partial

from filmgate.core.errors import FilmgateError
from filmgate.core.people import PEOPLE
from filmgate.core.pipeline import Pipeline, SnapshotReader
from filmgate.core.records import RunHead
from filmgate.core.resources import Resource
from filmgate.db.sessions import DatabaseSession
from filmgate.services.people import PeopleService
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from filmgate.store.snapshots import Snapshots
from filmgate.wiring.database import Database

Reader = Callable[[], bytes | None]
"""Reads the data of a snapshot; None if there are none."""


class DatabaseSnapshots:
    """Saves data of the database in files of the home, for runs that read them."""

    def __init__(self, home: Home, database: Database, people: PeopleService) -> None:
        self._home = home
        self._database = database
        self._people = people

    def take(self, pipeline: Pipeline, run: FolderRun) -> tuple[dict[str, Resource], list[str]]:
        """Save the snapshots that stages of a pipeline read, if any; return them as resources.

        Also returns notes on data that could not be read. If the database is unavailable, the
        snapshot that the run used before is returned. Without a database there are none.
        """
        resources, notes = {}, []
        readers = self._readers(pipeline.snapshots, run.head)
        for name in sorted(readers.keys() & pipeline.plan.reads_resources):
            snapshots = Snapshots(self._home.root / name, name)
            try:
                data = readers[name]() if self._database.exists() else None
                resource = snapshots.save(data) if data is not None else None
            except (FilmgateError, OSError) as error:
                notes.append(f"resource {name} could not be read from the database: {error}")
                resource = _earlier(run, snapshots, name)
            if resource is not None:
                resources[name] = resource
        return resources, notes

    def _readers(self, own: Mapping[str, SnapshotReader], head: RunHead) -> dict[str, Reader]:
        def read(reader: SnapshotReader) -> bytes | None:
            with self._database.session() as connection:
                return reader(DatabaseSession(connection), head)

        return {PEOPLE: self._people.known} | {
            name: partial(read, reader) for name, reader in own.items()
        }


def _earlier(run: FolderRun, snapshots: Snapshots, name: str) -> Resource | None:
    """Return the snapshot of a resource that a stage of the run used before."""
    ledger = run.ledger()
    records = (ledger.current_record(stage) for stage in run.head.stages)
    fingerprints = (record.fingerprint for record in records if record and record.fingerprint)
    digests = [each.resources[name] for each in fingerprints if name in each.resources]
    return snapshots.find(digests[-1]) if digests else None
