"""Implementation of the port `ResultStore` in memory."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from filmgate.core.answers import Receipt
from filmgate.core.errors import Conflict
from filmgate.core.manifest import Manifest
from filmgate.core.publishing import ManifestLocation
from filmgate.core.receipts import (
    INGEST_STAGE,
    STATUS,
    IngestedManifest,
    check_successor,
    identity_of,
)
from filmgate.core.records import RunHead
from filmgate.core.result_store import ArtifactRow, ArtifactRows
from filmgate.core.states import RunState
from filmgate.core.summaries import SummaryRows

RunKey = tuple[str, str, str]
"""Producer, asset id and run id."""

RUNNING = STATUS[RunState.RUNNING]
COMPLETED = STATUS[RunState.SUCCESS]
FAILED = STATUS[RunState.FAILED]
INCOMPLETE = STATUS[RunState.INCOMPLETE]


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run in a result store."""

    status: str
    """`running`, `completed`, `failed` or `incomplete`."""
    finished_at: datetime | None = None
    manifest: Manifest | None = None
    """The manifest that was ingested last; None if none was."""
    manifest_sha256: str | None = None
    origin: ManifestLocation | None = None
    artifacts: Mapping[str, tuple[ArtifactRow, ...]] = field(default_factory=dict)
    """Records of the ingested artifact files, by artifact type."""
    summaries: tuple[SummaryRows, ...] = ()
    """The summaries as they were read; their rows are not written, for lack of tables."""


class MemoryResultStore:
    """Results of runs in a dictionary. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._runs: dict[RunKey, StoredRun] = {}
        self.receipts: list[Receipt] = []
        """Receipts of all ingests that wrote something, oldest first."""

    def find(self, run: RunHead | Manifest) -> StoredRun | None:
        """Return the run of a head or manifest; None if nothing of it was stored."""
        return self._runs.get(_key(run))

    def begin(self, head: RunHead) -> None:
        """Record that a run has started; a run that was ingested as completed does not change."""
        with self._lock:
            stored = self._runs.get(_key(head))
            if stored is None:
                self._runs[_key(head)] = StoredRun(status=RUNNING)
            elif stored.status in {FAILED, INCOMPLETE}:
                self._runs[_key(head)] = replace(stored, status=RUNNING, finished_at=None)

    def end(self, manifest: Manifest) -> None:
        """Record the end of a run that is not ingested, or not yet; only of a running run.

        A completed run is recorded as incomplete, because its artifacts are not in the store.
        """
        status = STATUS[manifest.status]
        self._end(manifest, INCOMPLETE if status == COMPLETED else status)

    def ingest(
        self,
        manifest: Manifest,
        manifest_sha256: str,
        origin: ManifestLocation,
        files: Iterable[ArtifactRows],
        summaries: Sequence[SummaryRows] = (),
    ) -> Receipt:
        """Ingest a run: all of it or, if an exception is raised, nothing."""
        with self._lock:
            earlier = self._runs.get(_key(manifest))
            if earlier is not None and earlier.manifest_sha256 == manifest_sha256:
                self._end(manifest, STATUS[manifest.status])
                return _receipt(self._runs[_key(manifest)], manifest, manifest_sha256, True)
            if earlier is not None:
                check_successor(manifest, manifest_sha256, INGEST_STAGE, _ingested(earlier))
            stored = StoredRun(
                status=STATUS[manifest.status],
                finished_at=_finished_at(manifest),
                manifest=manifest,
                manifest_sha256=manifest_sha256,
                origin=origin,
                artifacts=_read_artifacts(files),
                summaries=tuple(summaries),
            )
            self._runs[_key(manifest)] = stored
            receipt = _receipt(stored, manifest, manifest_sha256, False)
            self.receipts.append(receipt)
            return receipt

    def _end(self, manifest: Manifest, status: str) -> None:
        with self._lock:
            stored = self._runs.get(_key(manifest))
            if stored is not None and stored.status == RUNNING:
                finished_at = _finished_at(manifest)
                self._runs[_key(manifest)] = replace(stored, status=status, finished_at=finished_at)


def _key(run: RunHead | Manifest) -> RunKey:
    identity = identity_of(run)
    return identity["producer"], identity["asset_id"], identity["run_id"]


def _finished_at(manifest: Manifest) -> datetime | None:
    return None if manifest.status is RunState.RUNNING else manifest.updated_at


def _ingested(stored: StoredRun) -> list[IngestedManifest]:
    """The manifest of a run that was ingested; empty if none was."""
    manifest, origin, sha256 = stored.manifest, stored.origin, stored.manifest_sha256
    if manifest is None or origin is None or sha256 is None:
        return []
    return [
        IngestedManifest(
            stage=INGEST_STAGE,
            manifest_sha256=sha256,
            manifest_key=origin.manifest_key,
            revision=manifest.revision,
            created_at=manifest.created_at,
            input_hash=manifest.asset.input_hash,
            config_hash=manifest.config_hash,
        )
    ]


def _read_artifacts(files: Iterable[ArtifactRows]) -> dict[str, tuple[ArtifactRow, ...]]:
    """Read the records of all files; raise Conflict if two files have the same artifact type."""
    artifacts: dict[str, tuple[ArtifactRow, ...]] = {}
    for file in files:
        if file.artifact_type in artifacts:
            raise Conflict(
                f"{file.artifact_type} artifacts already exist in this run",
                expected="one file per artifact type",
                got=file.ref.path,
            )
        artifacts[file.artifact_type] = tuple(file.rows)
    return artifacts


def _receipt(
    stored: StoredRun, manifest: Manifest, manifest_sha256: str, is_replay: bool
) -> Receipt:
    counts = {name: len(rows) for name, rows in stored.artifacts.items()}
    return Receipt(
        **identity_of(manifest),
        stage=INGEST_STAGE,
        manifest_sha256=manifest_sha256,
        status=STATUS[manifest.status],
        artifacts=counts,
        counts={"artifacts": sum(counts.values())},
        is_replay=is_replay,
    )
