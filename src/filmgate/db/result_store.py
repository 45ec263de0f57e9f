"""The port `ResultStore` on PostgreSQL: the ingest of runs."""

from collections.abc import Iterable, Sequence

import psycopg

from filmgate.core.answers import Receipt
from filmgate.core.database import Parameters
from filmgate.core.errors import Conflict
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.registry import Registry
from filmgate.core.publishing import ManifestLocation
from filmgate.core.receipts import INGEST_STAGE
from filmgate.core.records import RunHead
from filmgate.core.result_store import ArtifactRows
from filmgate.core.states import RunState
from filmgate.core.summaries import SummaryRows
from filmgate.db import artifact_types, projections, rows, screenalytics
from filmgate.db.queries import queries
from filmgate.db.receipts import Intake, RowCounts, ingest_once
from filmgate.db.sessions import DatabaseSession
from filmgate.db.statistics import refresh_statistics


class PostgresResults:
    """Ingests runs over one connection."""

    def __init__(self, connection: psycopg.Connection, registry: Registry) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection)
        self._projections = registry.projections

    def begin(self, head: RunHead) -> None:
        """Record that a run has started; a run that was ingested as completed does not change."""
        sql = queries("ingest")
        with self._connection.transaction():
            self._session.execute(sql["add_asset"], rows.of_asset(head.asset))
            asset = self._session.one_required(sql["lock_asset"], {"asset_id": head.asset.id})
            self._session.execute(sql["begin_run"], asset | rows.of_run(head))

    def end(self, manifest: Manifest) -> None:
        """Record the end of a run that is not ingested, or not yet."""
        row = {"asset_id": manifest.asset.id, **rows.of_run(manifest), **rows.of_ending(manifest)}
        self._session.execute(queries("ingest")["end_run"], row)

    def prepare(self, manifest: Manifest) -> None:
        """Create the keys and tables of new artifact types, in separate transactions."""
        artifact_types.prepare(self._connection, _types_in(manifest), self._projections)

    def ingest(
        self,
        manifest: Manifest,
        manifest_sha256: str,
        origin: ManifestLocation,
        files: Iterable[ArtifactRows],
        summaries: Sequence[SummaryRows] = (),
    ) -> Receipt:
        """Ingest a run: all of it or, if an exception is raised, nothing.

        Refreshes the planner's statistics afterwards, unless the caller has a transaction open:
        then the caller refreshes them.
        """
        self.prepare(manifest)
        intake = Intake(
            stage=INGEST_STAGE,
            manifest=manifest,
            manifest_sha256=manifest_sha256,
            origin=origin,
            files=_files_read(manifest, summaries),
        )

        def write(is_new: bool) -> RowCounts:
            artifacts = self._replace_run(manifest, files)
            counts = {"artifacts": sum(artifacts.values())}
            counts |= screenalytics.put(
                self._session, manifest, manifest_sha256, origin, summaries, is_new=is_new
            )
            for summary in summaries:
                if not summary.is_for_products:
                    counts |= summary.write(self._session)
            return RowCounts(counts=counts, artifacts=artifacts)

        with self._connection.transaction():
            receipt = ingest_once(self._session, intake, write)
            if receipt.is_replay:
                row = intake.run | rows.of_ending(manifest)
                self._session.execute(queries("ingest")["end_again"], row)
        if not receipt.is_replay:
            refresh_statistics(self._connection)
        return receipt

    def _replace_run(self, manifest: Manifest, files: Iterable[ArtifactRows]) -> dict[str, int]:
        """Replace the run's earlier revision; return how many artifacts of each type it has."""
        sql, session = queries("ingest"), self._session
        asset_row = rows.of_asset(manifest.asset)
        session.execute(sql["add_asset"], asset_row)
        asset = session.one_required(sql["lock_asset"], asset_row)
        session.execute(sql["renew_asset"], asset_row | {"created_at": manifest.created_at})
        run = session.one_required(
            sql["add_run"], asset | rows.of_run(manifest) | rows.of_ending(manifest)
        )
        keys = {**asset, **run}
        session.execute(sql["drop_files"], keys)
        session.execute(sql["drop_stages"], keys)
        for stage in rows.of_stages(manifest):
            session.execute(sql["add_stage"], keys | stage)
        counts = {file.artifact_type: self._add_file(keys, file) for file in files}
        for projection in self._projections:
            if counts.get(projection.artifact_type):
                projections.fill(self._connection, [projection], keys)
        session.execute(sql["refresh_served"], keys)
        return counts

    def _add_file(self, keys: Parameters, file: ArtifactRows) -> int:
        sql, session = queries("ingest"), self._session
        type_key = session.one_required(sql["type_key"], {"artifact_type": file.artifact_type})
        file_keys = {**keys, **type_key}
        session.execute(sql["drop_empty_file"], file_keys)
        try:
            session.execute(sql["add_file"], {**file_keys, **rows.of_file(file)})
        except psycopg.errors.UniqueViolation as error:
            raise Conflict(
                f"{file.artifact_type} artifacts that a program added to this run already exist",
                expected="no added artifacts of a type that the run makes",
                got="some",
                hint="Delete these artifacts, or run the pipeline again as a new run (--new)",
            ) from error
        total = 0
        with self._connection.cursor() as cursor, cursor.copy(sql["copy_rows"]) as copy:
            for block, count in rows.copy_blocks(file_keys, file.rows):
                copy.write(block)
                total += count
        session.execute(sql["describe_file"], file_keys)
        return total


def _types_in(manifest: Manifest) -> list[str]:
    return [ref.artifact_type for _, _, ref in manifest.artifact_refs if ref.artifact_type]


def _files_read(manifest: Manifest, summaries: Sequence[SummaryRows]) -> dict[str, str]:
    """Return the SHA-256 of the files whose records become rows, by path."""
    if manifest.status is not RunState.SUCCESS:
        return {}
    summarised = [ref for summary in summaries for ref in summary.files]
    typed = [ref for _, _, ref in manifest.artifact_refs if ref.artifact_type is not None]
    return {ref.path: ref.sha256 for ref in (*typed, *summarised)}
