"""Receipts: which consumer stage ingested which manifest, stored in the ingesting transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from filmgate.core.answers import Receipt
from filmgate.core.errors import Conflict
from filmgate.core.manifest import Manifest
from filmgate.core.publishing import ManifestLocation, parse_manifest_key
from filmgate.db.queries import queries
from filmgate.db.rows import STATUS, identity_of
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
    for receipt in receipts.values():
        if receipt["manifest_sha256"] != intake.manifest_sha256:
            _check_successor(intake, receipt, is_own=receipt is own)
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


def _check_successor(intake: Intake, earlier: Mapping[str, Any], *, is_own: bool) -> None:
    """Raise Conflict if a manifest may not replace that of an earlier receipt.

    A published run keeps its manifest; in an unpublished run only a later revision may follow.
    """
    manifest = intake.manifest
    if parse_manifest_key(earlier["manifest_key"]) is not None:
        raise _conflict(
            manifest,
            f"sha256 {earlier['manifest_sha256']}, as published",
            f"sha256 {intake.manifest_sha256}",
        )
    if not is_own:
        return
    facts = {
        "created_at": manifest.created_at,
        "input_hash": manifest.asset.input_hash,
        "config_hash": manifest.config_hash,
    }
    changed = [name for name, value in facts.items() if earlier[name] not in {value, None}]
    if changed or manifest.revision <= earlier["revision"]:
        raise _conflict(
            manifest,
            f"the manifest ingested before, or a revision after {earlier['revision']}",
            f"another {', '.join(changed)}" if changed else f"revision {manifest.revision}",
        )


def _conflict(manifest: Manifest, expected: str, got: str) -> Conflict:
    return Conflict(
        f"run {manifest.run_id} of {manifest.asset.id} was ingested with other bytes",
        expected=expected,
        got=got,
        hint="Run it again under another run id (--new); give every installation its own producer "
        "name (FILMGATE_PRODUCER)",
        reason="manifest_conflict",
    )
