"""How a run stands: its manifest, derived anew, and what its runner said last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from filmgate.core.liveness import is_suspect, silence_s
from filmgate.core.manifest import Manifest
from filmgate.core.moments import moment
from filmgate.core.publishing import Seal
from filmgate.core.states import RunState, StageState
from filmgate.store.run_directory import FolderRun


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """A run as somebody who looks at it now sees it."""

    folder: Path
    manifest: Manifest
    progress: Mapping[str, Mapping[str, Any]]
    """By stage at work: `done` and `total`, as its runner said last."""
    silence_s: float | None
    """Since the runner spoke last; None where it is not known."""
    is_suspect: bool
    seal: Seal | None
    """Where it was published; None where it may still change."""

    @classmethod
    def of(cls, run: FolderRun, now: datetime) -> Self:
        """Look at a run."""
        manifest = run.refold(None)
        shown = run.shown()
        heartbeat = moment(shown.get("heartbeat"))
        stages = shown.get("stages")
        return cls(
            folder=run.folder,
            manifest=manifest,
            progress=stages if isinstance(stages, dict) and cls._is_at_work(manifest) else {},
            silence_s=silence_s(heartbeat, now),
            is_suspect=is_suspect(heartbeat, now, is_held=cls._is_at_work(manifest)),
            seal=run.seal_there(),
        )

    @property
    def has_died(self) -> bool:
        """Whether a stage was begun, and nobody holds the run."""
        is_open = any(e.status is StageState.RUNNING for e in self.manifest.stages.values())
        return is_open and not self._is_at_work(self.manifest)

    @property
    def is_at_work(self) -> bool:
        """Whether a runner holds the run."""
        return self._is_at_work(self.manifest)

    @staticmethod
    def _is_at_work(manifest: Manifest) -> bool:
        return manifest.status is RunState.RUNNING
