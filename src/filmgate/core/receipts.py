"""The rules of receipts: which manifest may follow another in a result store."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from filmgate.core.errors import Conflict
from filmgate.core.manifest import Manifest
from filmgate.core.publishing import parse_manifest_key
from filmgate.core.records import RunHead
from filmgate.core.states import RunState

STATUS = {
    RunState.RUNNING: "running",
    RunState.SUCCESS: "completed",
    RunState.FAILED: "failed",
    RunState.INCOMPLETE: "incomplete",
}
"""The status of a run in a result store, by the state in its manifest."""

INGEST_STAGE = "ingest"
"""The consumer stage in receipts of whole runs."""


def identity_of(run: RunHead | Manifest) -> dict[str, str]:
    """Return the global identity of a run: producer, asset id and run id."""
    return {"producer": run.producer, "asset_id": run.asset.id, "run_id": run.run_id}


class IngestedManifest(NamedTuple):
    """A manifest that a consumer stage ingested, with the facts of its run.

    The facts are None if the result store has no run for the receipt.
    """

    stage: str
    manifest_sha256: str
    manifest_key: str
    revision: int
    created_at: datetime | None
    input_hash: str | None
    config_hash: str | None


def check_successor(
    manifest: Manifest, manifest_sha256: str, stage: str, ingested: Iterable[IngestedManifest]
) -> None:
    """Raise Conflict if a consumer stage may not ingest a manifest after those of `ingested`.

    A published run keeps its manifest, unless a person was erased from it. In an unpublished run,
    only a later revision may follow the manifest that the same stage ingested.
    """
    for earlier in ingested:
        if earlier.manifest_sha256 == manifest_sha256:
            continue
        if parse_manifest_key(earlier.manifest_key) is not None and not manifest.is_erased:
            raise _conflict(
                manifest,
                f"sha256 {earlier.manifest_sha256}, as published",
                f"sha256 {manifest_sha256}",
            )
        if earlier.stage == stage:
            _check_later_revision(manifest, earlier)


def _check_later_revision(manifest: Manifest, earlier: IngestedManifest) -> None:
    facts = {
        "created_at": (manifest.created_at, earlier.created_at),
        "input_hash": (manifest.asset.input_hash, earlier.input_hash),
        "config_hash": (manifest.config_hash, earlier.config_hash),
    }
    changed = [name for name, (now, before) in facts.items() if before not in {now, None}]
    if changed or manifest.revision <= earlier.revision:
        raise _conflict(
            manifest,
            f"the manifest ingested before, or a revision after {earlier.revision}",
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
