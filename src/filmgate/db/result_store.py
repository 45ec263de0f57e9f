"""The port `ResultStore` on PostgreSQL: how runs come in."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from filmgate.core.answers import Receipt
from filmgate.core.corpus import IndexedBooks
from filmgate.core.errors import Conflict
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.registry import Registry
from filmgate.core.publishing import Origin
from filmgate.core.records import RunHead
from filmgate.core.result_store import ArtifactRows
from filmgate.core.screentime import SCREENTIME, ScreenTime
from filmgate.core.states import RunState
from filmgate.db import books, product, projections, rows, types
from filmgate.db.queries import queries
from filmgate.db.receipts import Intake, Taken, take_in_once
from filmgate.db.sessions import Session

STAGE = "ingest"
"""What receipts of whole runs say of who took them in."""


class PostgresResults:
    """Takes runs into one database, over one connection."""

    def __init__(self, connection: psycopg.Connection, registry: Registry) -> None:
        self._connection = connection
        self._session = Session(connection)
        self._projections = registry.projections

    def begin(self, head: RunHead) -> None:
        """Note that a run is worked on; one that was taken in as completed stays as it is."""
        sql = queries("ingest")
        with self._connection.transaction():
            self._session.do(sql["add_asset"], rows.of_asset(head.asset))
            asset = self._session.need(sql["lock_asset"], {"asset_id": head.asset.id})
            self._session.do(sql["begin_run"], asset | rows.of_run(head))

    def end(self, manifest: Manifest) -> None:
        """Note how a run ended that is not to be taken in, or not now."""
        told = {"asset_id": manifest.asset.id, **rows.of_run(manifest), **rows.of_ending(manifest)}
        self._session.do(queries("ingest")["end_run"], told)

    def prepare(self, manifest: Manifest) -> None:
        """Make the tables of types that are new here, in transactions of their own."""
        types.prepare(self._connection, _types_in(manifest), self._projections)

    def ingest(
        self,
        manifest: Manifest,
        manifest_sha256: str,
        origin: Origin,
        files: Iterable[ArtifactRows],
        screentime: ScreenTime | None = None,
        corpus: IndexedBooks | None = None,
    ) -> Receipt:
        """Take in a run: all of it or, where anything raises, nothing."""
        self.prepare(manifest)
        intake = Intake(
            stage=STAGE,
            manifest=manifest,
            manifest_sha256=manifest_sha256,
            origin=origin,
            files=_files_read(manifest),
        )

        def take(is_new: bool) -> Taken:
            artifacts = self._replace_run(manifest, files)
            counts = {"artifacts": sum(artifacts.values())}
            counts |= product.put(
                self._session, manifest, manifest_sha256, origin, screentime, is_new=is_new
            )
            if corpus is not None:
                counts |= books.put(self._session, manifest, corpus)
            return Taken(counts=counts, artifacts=artifacts)

        with self._connection.transaction():
            receipt = take_in_once(self._session, intake, take)
            if receipt.is_replay:
                ended = intake.run | rows.of_ending(manifest)
                self._session.do(queries("ingest")["end_again"], ended)
        return receipt

    def _replace_run(self, manifest: Manifest, files: Iterable[ArtifactRows]) -> dict[str, int]:
        """Put the run in the place of its earlier revision; how many artifacts of each type."""
        sql, session = queries("ingest"), self._session
        asset_row = rows.of_asset(manifest.asset)
        session.do(sql["add_asset"], asset_row)
        asset = session.need(sql["lock_asset"], asset_row)
        session.do(sql["renew_asset"], asset_row | {"created_at": manifest.created_at})
        run = session.need(sql["add_run"], asset | rows.of_run(manifest) | rows.of_ending(manifest))
        keys = {**asset, **run}
        session.do(sql["drop_files"], keys)
        session.do(sql["drop_stages"], keys)
        for stage in rows.of_stages(manifest):
            session.do(sql["add_stage"], keys | stage)
        counts = {each.artifact_type: self._add_file(keys, each) for each in files}
        for projection in self._projections:
            if counts.get(projection.artifact_type):
                projections.fill(self._connection, [projection], keys)
        session.do(sql["refresh_served"], keys)
        return counts

    def _add_file(self, keys: Mapping[str, Any], file: ArtifactRows) -> int:
        sql, session = queries("ingest"), self._session
        kind = session.need(sql["type_key"], {"artifact_type": file.artifact_type})
        place = {**keys, **kind}
        session.do(sql["drop_empty_file"], place)
        try:
            session.do(sql["add_file"], {**place, **rows.of_file(file)})
        except psycopg.errors.UniqueViolation as error:
            raise Conflict(
                f"a program added {file.artifact_type} artifacts to this run",
                expected="none of a type that the run brings itself",
                got="some",
                hint="Delete them, or run it again under another run id: --new",
            ) from error
        total = 0
        with self._connection.cursor() as cursor, cursor.copy(sql["copy_rows"]) as copy:
            for block, count in rows.copied(place, file.rows):
                copy.write(block)
                total += count
        session.do(sql["describe_file"], place)
        return total


def _types_in(manifest: Manifest) -> list[str]:
    return [ref.artifact_type for _, _, ref in manifest.artifact_refs if ref.artifact_type]


def _files_read(manifest: Manifest) -> dict[str, str]:
    """The files whose records become rows."""
    if manifest.status is not RunState.SUCCESS:
        return {}
    return {
        ref.path: ref.sha256
        for _, _, ref in manifest.artifact_refs
        if ref.artifact_type is not None or ref.schema_name == SCREENTIME
    }
