"""Status of a run: its manifest, derived from its records, and the last report of its runner."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from filmgate.core.liveness import is_suspect, silence_s
from filmgate.core.manifest import Manifest
from filmgate.core.moments import parse_moment
from filmgate.core.publishing import Seal
from filmgate.core.records import FailureCode
from filmgate.core.states import RunState, StageState
from filmgate.store.run_directory import FolderRun


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """The status of a run at one time."""

    folder: Path
    manifest: Manifest
    progress: Mapping[str, Mapping[str, object]]
    """`done` and `total` of each running stage, from the runner's last report."""
    silence_s: float | None
    """Seconds since the runner's last heartbeat; None if there was none."""
    is_suspect: bool
    is_queued: bool = False
    """Whether a queued job will execute the run."""
    seal: Seal | None
    """The seal of a published run; None if the run may still change."""

    @classmethod
    def of(cls, run: FolderRun, now: datetime) -> Self:
        """Read the status of a run; raises Invalid if its records are broken."""
        manifest = run.fold_manifest(None)
        report = run.read_status()
        heartbeat = parse_moment(report.get("heartbeat"))
        stages = report.get("stages")
        return cls(
            folder=run.folder,
            manifest=manifest,
            progress=stages if isinstance(stages, dict) and cls._is_at_work(manifest) else {},
            silence_s=silence_s(heartbeat, now),
            is_suspect=is_suspect(heartbeat, now, is_held=cls._is_at_work(manifest)),
            seal=run.read_seal(),
        )

    @property
    def has_died(self) -> bool:
        """Whether a stage was started but no runner has the lease of the run."""
        is_open = any(e.status is StageState.RUNNING for e in self.manifest.stages.values())
        return is_open and not self._is_at_work(self.manifest)

    @property
    def is_at_work(self) -> bool:
        """Whether a runner has the lease of the run."""
        return self._is_at_work(self.manifest)

    @staticmethod
    def _is_at_work(manifest: Manifest) -> bool:
        return manifest.status is RunState.RUNNING

    @property
    def is_untouched(self) -> bool:
        """Whether no stage was ever started and no runner has the lease of the run."""
        states = {entry.status for entry in self.manifest.stages.values()}
        return states == {StageState.PENDING} and not self.is_at_work

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal or the end of its process stopped the run before its stages ended."""
        errors = [e.error.code for e in self.manifest.stages.values() if e.error is not None]
        is_stopped = bool(errors) and set(errors) == {FailureCode.INTERRUPTED}
        return self.has_died or (is_stopped and self.manifest.status is RunState.FAILED)


def state_shown(status: RunStatus) -> str:
    """Return the state to display: INTERRUPTED, QUEUED, or the status in the manifest."""
    if status.is_interrupted:
        return "INTERRUPTED"
    if status.is_queued:
        return "QUEUED"
    return status.manifest.status.value
