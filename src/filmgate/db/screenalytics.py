"""The tables that Screenalytics reads: completed runs, their files, and people's screen time."""

from collections.abc import Iterator, Sequence

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.answers import Receipt
from filmgate.core.database import Row
from filmgate.core.manifest import Manifest
from filmgate.core.publishing import ManifestLocation, parse_manifest_key
from filmgate.core.receipts import identity_of
from filmgate.core.states import RunState
from filmgate.core.summaries import SummaryRows
from filmgate.db.queries import queries
from filmgate.db.receipts import Intake, RowCounts, ingest_once
from filmgate.db.sessions import DatabaseSession

STAGE = "sync_screenalytics"
"""The consumer stage in receipts of summaries."""

RUNS = "screenalytics.runs"
ARTIFACTS = "screenalytics.run_artifacts"


def ingest_summary(
    connection: psycopg.Connection,
    manifest: Manifest,
    manifest_sha256: str,
    origin: ManifestLocation,
    summaries: Sequence[SummaryRows],
) -> Receipt:
    """Ingest the summary of a completed run; the same manifest again changes nothing.

    The caller opens the transaction. Raises Conflict if the run was ingested with other bytes
    before.
    """
    session = DatabaseSession(connection)
    intake = Intake(
        stage=STAGE,
        manifest=manifest,
        manifest_sha256=manifest_sha256,
        origin=origin,
        files={ref.path: ref.sha256 for rows in summaries for ref in rows.files},
    )

    def write(is_new: bool) -> RowCounts:
        counts = put(session, manifest, manifest_sha256, origin, summaries, is_new=is_new)
        return RowCounts(counts=counts, artifacts={})

    with connection.pipeline():  # sends statements without waiting for each response
        return ingest_once(session, intake, write)


def put(
    session: DatabaseSession,
    manifest: Manifest,
    manifest_sha256: str,
    origin: ManifestLocation,
    summaries: Sequence[SummaryRows],
    *,
    is_new: bool,
) -> dict[str, int]:
    """Replace the rows of a run; return their numbers by table. A run that is not completed has
    no rows.

    The rows depend only on the manifest, the summaries and their origin. Rows that were read from
    a store stay when the same manifest is ingested from a run's own folder.
    """
    is_current = False
    if not is_new:
        stored = session.one(queries("screenalytics")["run"], identity_of(manifest)) or {}
        is_same = stored.get("manifest_sha256") == manifest_sha256
        is_current = is_same and parse_manifest_key(stored["manifest_key"]) is not None
        if not is_current:
            session.execute(queries("screenalytics")["drop_run"], identity_of(manifest))
    if manifest.status is not RunState.SUCCESS:
        return {}
    if not is_current:
        for statement, values in statements(manifest, manifest_sha256, origin):
            session.execute(statement, values)
    counts = {RUNS: 1, ARTIFACTS: len(manifest.artifact_refs)}
    for rows in summaries:
        if rows.is_for_products:
            counts |= rows.write(session)
    return counts


def statements(
    manifest: Manifest, manifest_sha256: str, origin: ManifestLocation
) -> Iterator[tuple[str, Row]]:
    """Yield the statements that insert a run's rows, one per table, with their parameters."""
    sql = queries("screenalytics")
    run = identity_of(manifest)
    yield sql["add_run"], run | _run_columns(manifest, manifest_sha256, origin)
    artifacts = [
        {"stage": stage, **ref.model_dump(mode="json")} for stage, _, ref in manifest.artifact_refs
    ]
    yield sql["add_artifacts"], run | {"artifacts": Jsonb(artifacts)}


def _run_columns(manifest: Manifest, manifest_sha256: str, origin: ManifestLocation) -> Row:
    return {
        "source": origin.source,
        "manifest_key": origin.manifest_key,
        "manifest_sha256": manifest_sha256,
        "schema_version": manifest.schema_version,
        "pipeline": manifest.pipeline,
        "model_profile": manifest.profile,
        "config_hash": manifest.config_hash,
        "input_hash": manifest.asset.input_hash,
        "created_at": manifest.created_at,
        "finished_at": manifest.updated_at,
    }
