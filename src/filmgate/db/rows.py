"""Rows: the column values of what is ingested."""

from collections.abc import Iterable, Iterator

from psycopg.types.json import Jsonb

from filmgate.core.database import Parameters, Row
from filmgate.core.manifest import Manifest
from filmgate.core.receipts import STATUS
from filmgate.core.records import Asset, RunHead
from filmgate.core.result_store import ArtifactRow, ArtifactRows
from filmgate.core.states import RunState

COPY_BYTES = 1 << 17
"""Least size of a block of rows that is passed to the driver at once, in bytes."""


def of_asset(asset: Asset) -> Row:
    """Build a row of `assets`."""
    return {
        "asset_id": asset.id,
        "input_hash": asset.input_hash,
        "uri": asset.uri,
        "size_bytes": asset.size_bytes,
        "media": Jsonb(asset.media),
    }


def of_run(run: "RunHead | Manifest") -> Row:
    """Build the columns of `runs` that are known at the start of a run."""
    return {
        "run_id": run.run_id,
        "producer": run.producer,
        "pipeline": run.pipeline,
        "model_profile": run.profile,
        "config": Jsonb(run.config),
        "config_hash": run.config_hash,
        "input_hash": run.asset.input_hash,
        "source_sha_map": Jsonb(run.source_sha_map),
        "created_at": run.created_at,
    }


def of_ending(manifest: Manifest) -> Row:
    """Build the columns of `runs` that are known at the end of a run."""
    errors = {
        name: entry.error.model_dump(mode="json")
        for name, entry in manifest.stages.items()
        if entry.error is not None
    }
    is_running = manifest.status is RunState.RUNNING
    return {
        "status": STATUS[manifest.status],
        "revision": manifest.revision,
        "finished_at": None if is_running else manifest.updated_at,
        "error": Jsonb(errors) if errors else None,
    }


def of_stages(manifest: Manifest) -> Iterator[Row]:
    """Build the rows of `stage_ends`."""
    for position, (name, entry) in enumerate(manifest.stages.items()):
        fields = entry.model_dump(mode="json")
        producer = fields["producer"] or {}
        yield {
            "stage": name,
            "position": position,
            "status": fields["status"],
            "attempt": entry.attempt,
            "fingerprint": entry.fingerprint,
            "record_sha256": entry.record_sha256,
            "lineage": Jsonb(fields["lineage"]),
            "producer": producer.get("name"),
            "producer_version": producer.get("version"),
            "weights_sha256": producer.get("weights_sha256"),
            "counts": Jsonb(fields["counts"]),
            "metrics": Jsonb(fields["metrics"]),
            "warnings": Jsonb(fields["warnings"]),
            "started_at": entry.started,
            "ended_at": entry.ended,
            "duration_s": entry.duration_s,
            "error_details": Jsonb(fields["error"] or fields["blocked"])
            if fields["error"] or fields["blocked"]
            else None,
        }


def of_file(file: ArtifactRows) -> Row:
    """Build a row of `artifact_files`."""
    return {
        "stage": file.stage,
        "artifact_key": file.ref.key,
        "path": file.ref.path,
        "sha256": file.ref.sha256,
        "schema_version": file.ref.schema_version,
        "producer": file.producer.name,
        "producer_version": file.producer.version,
        "weights_sha256": file.producer.weights_sha256,
        "created_at": file.created_at,
    }


def copy_blocks(keys: Parameters, rows: Iterable[ArtifactRow]) -> Iterator[tuple[bytes, int]]:
    """Yield blocks of `artifact_rows` in the text format of COPY, with their numbers of rows.

    JSON text contains no raw tab and no raw line feed, so only its backslashes are escaped.
    """
    prefix = b"%d\t%d\t%d\t" % (keys["asset_key"], keys["run_key"], keys["type_key"])
    block: list[bytes] = []
    size = 0
    for ordinal, start, end, payload in rows:
        line = b"%b%d\t%d\t%d\t%b\n" % (
            prefix,
            ordinal,
            start,
            end,
            payload.replace(b"\\", b"\\\\"),
        )
        block.append(line)
        size += len(line)
        if size >= COPY_BYTES:
            yield b"".join(block), len(block)
            block, size = [], 0
    yield b"".join(block), len(block)
