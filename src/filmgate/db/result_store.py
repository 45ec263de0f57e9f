"""The port `ResultStore` on PostgreSQL: how runs come in."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.answers import Receipt
from filmgate.core.errors import Conflict
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.registry import Registry
from filmgate.core.ports import ArtifactRows
from filmgate.core.records import RunHead
from filmgate.core.screentime import ScreenTime
from filmgate.db import projections, rows, types
from filmgate.db.queries import queries
from filmgate.db.sessions import Session


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

    def ingest(
        self,
        manifest: Manifest,
        manifest_sha256: str,
        files: Iterable[ArtifactRows],
        screentime: ScreenTime | None = None,
    ) -> Receipt:
        """Take in a run: all of it or, where anything raises, nothing."""
        sql = queries("ingest")
        run = {
            "producer": manifest.producer,
            "asset_id": manifest.asset.id,
            "run_id": manifest.run_id,
        }
        types.prepare(self._connection, _types_in(manifest), self._projections)
        with self._connection.transaction():
            self._session.do(sql["lock_receipt"], run)
            earlier = self._session.one(sql["receipt"], run)
            if earlier is not None and earlier["manifest_sha256"] == manifest_sha256:
                self._session.do(sql["end_again"], run | rows.of_ending(manifest))
                return Receipt(
                    **run,
                    manifest_sha256=manifest_sha256,
                    status=earlier["status"],
                    artifacts=earlier["artifacts"],
                    is_replay=True,
                )
            if earlier is not None:
                _check_later(manifest, earlier)
            counts = self._replace_run(manifest, files, screentime)
            status = rows.STATUS[manifest.status]
            self._session.do(
                sql["save_receipt"],
                {
                    **run,
                    "manifest_sha256": manifest_sha256,
                    "revision": manifest.revision,
                    "status": status,
                    "artifacts": Jsonb(counts),
                },
            )
        return Receipt(
            **run,
            manifest_sha256=manifest_sha256,
            status=status,
            artifacts=counts,
            is_replay=False,
        )

    def _replace_run(
        self, manifest: Manifest, files: Iterable[ArtifactRows], screentime: ScreenTime | None
    ) -> dict[str, int]:
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
        self._add_metrics(keys, screentime)
        return counts

    def _add_metrics(self, keys: Mapping[str, Any], screentime: ScreenTime | None) -> None:
        """Put everybody's screen time in the place of that of an earlier revision."""
        sql = queries("people")
        self._session.do(sql["drop_metrics"], keys)
        for person in screentime.people if screentime else ():
            row = person.model_dump(mode="json", exclude={"name", "unsure"})
            unsure = Jsonb([each.model_dump(mode="json") for each in person.unsure])
            self._session.do(sql["add_metrics"], {**keys, **row, "unsure": unsure})

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


def _check_later(manifest: Manifest, earlier: Mapping[str, Any]) -> None:
    """A run may only be followed by a later revision of itself."""
    told = {
        "created_at": manifest.created_at,
        "input_hash": manifest.asset.input_hash,
        "config_hash": manifest.config_hash,
    }
    others = [name for name, value in told.items() if earlier[name] != value]
    if others or manifest.revision <= earlier["revision"]:
        raise Conflict(
            f"run {manifest.run_id} of {manifest.asset.id} was ingested with other bytes",
            expected=f"the manifest ingested before, or a revision after {earlier['revision']}",
            got=f"another {', '.join(others)}" if others else f"revision {manifest.revision}",
            hint="Run it again under another run id: --new",
            reason="manifest_conflict",
        )
