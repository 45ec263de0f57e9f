"""The port `ResultStore` on PostgreSQL."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from filmgate.core.answers import FindAnswer, Hit, JumpAnswer, Receipt
from filmgate.core.envelope import Envelope
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.manifest import Manifest
from filmgate.core.ports import ArtifactRows
from filmgate.core.questions import Direction, JumpKind
from filmgate.core.states import RunState
from filmgate.db.queries import queries

STATUS = {
    RunState.RUNNING: "running",
    RunState.SUCCESS: "completed",
    RunState.FAILED: "failed",
    RunState.INCOMPLETE: "incomplete",
}
TRANSCRIPT = JumpKind.TRANSCRIPT.artifact_type

_OPEN, _CLOSE = "\ue000", "\ue001"
"""Private-use characters around matches; they stand in no transcript that means anything."""
_MARKS = f"StartSel={_OPEN}, StopSel={_CLOSE}"
_SNIPPETS = {
    "short": 400,
    "mark_all": f"{_MARKS}, HighlightAll=true",
    "mark_part": f"{_MARKS}, MaxWords=60, MinWords=30, MaxFragments=1",
}
"""Texts up to `short` characters are shown whole."""


class PostgresResults:
    """Results in one database, over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def ingest(
        self, manifest: Manifest, manifest_sha256: str, files: Iterable[ArtifactRows]
    ) -> Receipt:
        """Take in a run: all of it or, where anything raises, nothing."""
        sql = queries("ingest")
        run = {
            "producer": manifest.producer,
            "asset_id": manifest.asset.id,
            "run_id": manifest.run_id,
        }
        with self._connection.transaction():
            self._connection.execute(sql["lock_receipt"], run)
            earlier = self._one(sql["receipt"], run)
            if earlier is not None and earlier["manifest_sha256"] == manifest_sha256:
                return Receipt(
                    **run,
                    manifest_sha256=manifest_sha256,
                    status=earlier["status"],
                    artifacts=earlier["artifacts"],
                    is_replay=True,
                )
            if earlier is not None:
                _check_later(manifest, earlier)
            counts = self._replace_run(manifest, files)
            status = STATUS[manifest.status]
            self._connection.execute(
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

    def jump(
        self, asset_id: AssetId, kind: JumpKind, direction: Direction, from_ms: int
    ) -> JumpAnswer:
        """The artifact with the nearest start before or after `from_ms`; NotFound where none."""
        served = self._served(asset_id, kind.artifact_type)
        if served is None:
            raise NotFound(
                f"{asset_id} has nothing of kind {kind.value!r}",
                expected=f"a completed run with {kind.artifact_type} artifacts",
                got="none",
            )
        query = queries("serve")[f"jump_{direction.value}"]
        found = self._one(query, {**served, "from_ms": from_ms})
        if found is None:
            way = "after" if direction is Direction.NEXT else "before"
            raise NotFound(f"no {kind.value} starts {way} {from_ms} ms in {asset_id}")
        (artifact,) = self._envelopes(served, [found["ordinal"]])
        return JumpAnswer(
            asset_id=asset_id,
            runs={kind.artifact_type: served["run_id"]},
            kind=kind,
            direction=direction,
            from_ms=from_ms,
            artifact=artifact,
        )

    def timeline(self, asset_id: AssetId, kind: JumpKind) -> tuple[Envelope, ...]:
        """All artifacts of a kind, in order; none where no completed run has any."""
        served = self._served(asset_id, kind.artifact_type)
        return tuple(self._select("timeline", served)) if served else ()

    def find(
        self,
        asset_id: AssetId,
        query: str,
        *,
        direction: Direction,
        from_ms: int | None,
        limit: int,
    ) -> FindAnswer:
        """What was said that matches `query`, in web search syntax."""
        served = self._served(asset_id, TRANSCRIPT)
        rows: list[tuple[int, str]] = []
        if served is not None:
            parameters = {
                **served,
                "query": _storable(query),
                "from_ms": from_ms,
                "limit": limit + 1,
                **_SNIPPETS,
            }
            statement = queries("serve")[f"find_{direction.value}"]
            rows = self._connection.execute(statement, parameters).fetchall()
        artifacts = self._envelopes(served, [ordinal for ordinal, _ in rows]) if served else []
        return FindAnswer(
            asset_id=asset_id,
            runs={TRANSCRIPT: served["run_id"]} if served else {},
            query=_storable(query),
            direction=direction,
            from_ms=from_ms,
            hits=tuple(
                _hit(artifact, marked)
                for artifact, (_, marked) in zip(artifacts, rows, strict=True)
            )[:limit],
            is_cut=len(rows) > limit,
        )

    def _replace_run(self, manifest: Manifest, files: Iterable[ArtifactRows]) -> dict[str, int]:
        """Put the run in the place of its earlier revision; how many artifacts of each type."""
        sql = queries("ingest")
        asset_row = _asset_row(manifest)
        self._connection.execute(sql["add_asset"], asset_row)
        self._connection.execute(sql["renew_asset"], asset_row)
        asset = self._need(sql["asset_key"], asset_row)
        keys = {**asset, "run_id": manifest.run_id, "producer": manifest.producer}
        self._connection.execute(sql["drop_run"], keys)
        run = self._need(sql["add_run"], keys | _run_row(manifest))
        keys = {**asset, **run}
        counts = {each.artifact_type: self._add_file(keys, each) for each in files}
        for projection in ("project_transcript", "project_scenes"):
            self._connection.execute(sql[projection], keys)
        return counts

    def _add_file(self, keys: Mapping[str, Any], file: ArtifactRows) -> int:
        sql = queries("ingest")
        named = {"artifact_type": file.artifact_type}
        self._connection.execute(sql["add_type"], named)
        place = {**keys, **self._need(sql["type_key"], named)}
        self._connection.execute(sql["add_file"], {**place, **_file_row(file)})
        count = 0
        with self._connection.cursor() as cursor, cursor.copy(sql["copy_rows"]) as copy:
            for line in file.lines:
                copy.write_row(
                    (
                        place["asset_key"],
                        place["run_key"],
                        place["type_key"],
                        line.ordinal,
                        line.span_start_ms,
                        line.span_end_ms,
                        json.dumps(line.payload, ensure_ascii=False),
                    )
                )
                count += 1
        return count

    def _served(self, asset_id: AssetId, artifact_type: str) -> dict[str, Any] | None:
        """Keys and id of the run served for a type; None where no completed run has it."""
        sql = queries("serve")
        asset = self._one(sql["asset"], {"asset_id": asset_id})
        if asset is None:
            raise NotFound(
                f"no asset {asset_id!r} in the database",
                expected="an asset that was ingested",
                hint="filmgate run ingests what it made; filmgate ingest catches up",
            )
        row = self._one(sql["served_run"], {**asset, "artifact_type": artifact_type})
        return None if row is None else {**asset, **row}

    def _envelopes(self, served: Mapping[str, Any], ordinals: Sequence[int]) -> list[Envelope]:
        """The artifacts at these ordinals, in the order asked for."""
        artifacts = self._select("envelopes", {**served, "ordinals": list(ordinals)})
        by_ordinal = dict(zip(sorted(ordinals), artifacts, strict=True))
        return [by_ordinal[ordinal] for ordinal in ordinals]

    def _select(self, query: str, parameters: Mapping[str, Any]) -> list[Envelope]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(queries("serve")[query], parameters).fetchall()
        return [Envelope.model_validate(row) for row in rows]

    def _need(self, statement: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
        row = self._one(statement, parameters)
        if row is None:
            raise RuntimeError("a statement that always answers did not")
        return row

    def _one(self, statement: Any, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, parameters).fetchone()


def _storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold: NUL, and halves of surrogate pairs."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


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


def _asset_row(manifest: Manifest) -> dict[str, Any]:
    asset = manifest.asset
    return {
        "asset_id": asset.id,
        "input_hash": asset.input_hash,
        "uri": asset.uri,
        "size_bytes": asset.size_bytes,
        "media": Jsonb(asset.media),
        "created_at": manifest.created_at,
    }


def _run_row(manifest: Manifest) -> dict[str, Any]:
    errors = {
        name: entry.error.model_dump(mode="json")
        for name, entry in manifest.stages.items()
        if entry.error is not None
    }
    is_running = manifest.status is RunState.RUNNING
    return {
        "pipeline": manifest.pipeline,
        "model_profile": manifest.profile,
        "config_hash": manifest.config_hash,
        "input_hash": manifest.asset.input_hash,
        "status": STATUS[manifest.status],
        "revision": manifest.revision,
        "created_at": manifest.created_at,
        "finished_at": None if is_running else manifest.updated_at,
        "error": Jsonb(errors) if errors else None,
    }


def _file_row(file: ArtifactRows) -> dict[str, Any]:
    return {
        "artifact_key": file.ref.key,
        "path": file.ref.path,
        "sha256": file.ref.sha256,
        "schema_version": file.ref.schema_version,
        "producer": file.producer.name,
        "producer_version": file.producer.version,
        "weights_sha256": file.producer.weights_sha256,
        "created_at": file.created_at,
    }


def _hit(artifact: Envelope, marked: str) -> Hit:
    """Turn the marks around matches into positions."""
    snippet, highlights, start = "", [], 0
    for character in marked:
        if character == _OPEN:
            start = len(snippet)
        elif character == _CLOSE:
            highlights.append((start, len(snippet)))
        else:
            snippet += character
    return Hit(artifact=artifact, snippet=snippet, highlights=tuple(highlights))
