"""Receipts: which consumer stage ingested which manifest, stored in the ingesting transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from filmgate.core.answers import Receipt
from filmgate.core.manifest import Manifest
from filmgate.core.publishing import ManifestLocation
from filmgate.core.receipts import STATUS, IngestedManifest, check_successor, identity_of
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

OLDER_SCHEMA = "before 0004"
"""The source in receipts of an older schema. That schema had fewer tables, so the same manifest may
be ingested again."""


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """How many rows the ingest of a manifest wrote."""

    counts: Mapping[str, int]
    """Number of rows, by table."""
    artifacts: Mapping[str, int]
    """Number of artifacts, by type."""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """A manifest that a consumer stage is about to ingest."""

    stage: str
    manifest: Manifest
    manifest_sha256: str
    origin: ManifestLocation
    files: Mapping[str, str]
    """SHA-256 of the files whose records become rows, by path."""

    @property
    def run(self) -> dict[str, str]:
        """The identity of the run: producer, asset id and run id."""
        return identity_of(self.manifest)


def ingest_once(
    session: DatabaseSession, intake: Intake, write: Callable[[bool], RowCounts]
) -> Receipt:
    """Ingest a manifest with `write`, unless this consumer stage did so before; store a receipt.

    `write` receives whether no stage has ingested anything of the run before. The caller opens the
    transaction, for which the run is locked. Raises Conflict if the run was ingested with other
    bytes: any other bytes if a published manifest was ingested, else those of an earlier revision.
    """
    sql = queries("receipts")
    session.execute(sql["lock"], intake.run)
    receipts = {row["stage"]: row for row in session.all(sql["current"], intake.run)}
    own = receipts.get(intake.stage)
    is_same = own is not None and own["manifest_sha256"] == intake.manifest_sha256
    if own is not None and is_same and own["source"] != OLDER_SCHEMA:
        return _receipt(intake, own["status"], own["artifacts"], own["counts"], is_replay=True)
    ingested = [
        IngestedManifest(**{name: row[name] for name in IngestedManifest._fields})
        for row in receipts.values()
    ]
    check_successor(intake.manifest, intake.manifest_sha256, intake.stage, ingested)
    written = write(not receipts)
    status = STATUS[intake.manifest.status]
    keys = intake.run | {"stage": intake.stage}
    if own is not None:
        session.execute(sql["supersede"], keys)
    session.execute(
        sql["save"],
        keys
        | {
            "manifest_sha256": intake.manifest_sha256,
            "revision": intake.manifest.revision,
            "schema_version": intake.manifest.schema_version,
            "status": status,
            "artifacts": Jsonb(dict(written.artifacts)),
            "source": intake.origin.source,
            "manifest_key": intake.origin.manifest_key,
            "files": Jsonb(dict(intake.files)),
            "counts": Jsonb(dict(written.counts)),
        },
    )
    return _receipt(intake, status, written.artifacts, written.counts, is_replay=False)


def _receipt(
    intake: Intake,
    status: str,
    artifacts: Mapping[str, int],
    counts: Mapping[str, int],
    *,
    is_replay: bool,
) -> Receipt:
    return Receipt(
        **intake.run,
        stage=intake.stage,
        manifest_sha256=intake.manifest_sha256,
        status=status,
        artifacts=dict(artifacts),
        counts=dict(counts),
        is_replay=is_replay,
    )
