"""Run one stage in the folder of a job, for programs that run the stages themselves."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filmgate.core.errors import ExitCode, FilmgateError, Invalid
from filmgate.core.gates import Reason
from filmgate.core.manifest import Manifest
from filmgate.core.os_errors import os_errors_translated
from filmgate.core.progress import NullObserver, ignore_progress
from filmgate.core.records import StageError
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs
from filmgate.wiring import settings

UPLOADS = "uploads"

JobManifest = Manifest | Mapping[str, object]
"""A job's manifest: a `Manifest`, or the contents of `manifest.json`. For a job that does not exist
yet: `{"uploads": FOLDER}`."""


class PassError(FilmgateError):
    """A pass did not succeed; `manifest` is the manifest of the job after the attempt."""

    def __init__(self, message: str, *, manifest: Manifest, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.manifest = manifest


class PassFailed(PassError):
    """The pass failed; `stage_error` is the error in its record."""

    code = "pass_failed"

    def __init__(self, stage: str, error: StageError, manifest: Manifest) -> None:
        super().__init__(f"pass {stage} failed: {error.message}", manifest=manifest)
        self.stage_error = error


class PassBlocked(PassError):
    """The gate of the pass is closed; `reasons` are the faults that close it."""

    code = "pass_blocked"
    exit_code = ExitCode.BLOCKED

    def __init__(self, stage: str, reasons: tuple[Reason, ...], manifest: Manifest) -> None:
        faults = "; ".join(map(str, reasons))
        super().__init__(f"the gate of pass {stage} is closed: {faults}", manifest=manifest)
        self.reasons = reasons


PassRunner = Callable[[Path | str, str, JobManifest], Manifest]


def _uploads_of(job_dir: Path, manifest: JobManifest) -> Path | None:
    """Return the folder of uploads for a new job; None if `manifest` is the manifest of the job.

    For a new job, `manifest` is a mapping with the single key `uploads`. Raises Invalid if
    `manifest` belongs to another job.
    """
    if not isinstance(manifest, Manifest) and set(manifest) == {UPLOADS}:
        return Path(str(manifest[UPLOADS]))
    if not isinstance(manifest, Manifest):
        manifest = Manifest.parse(json.dumps(dict(manifest)).encode())
    if manifest.run_id != job_dir.name:
        raise Invalid(
            "the manifest belongs to another job",
            expected=f"job_id {job_dir.name}, the name of the folder",
            got=f"job_id {manifest.run_id}",
        )
    return None


def make_pass_runner(pipeline: str, stage: str) -> PassRunner:
    """Return the function `run(job_dir, env, manifest)` of one stage of a pipeline."""

    def run(job_dir: Path | str, env: str, manifest: JobManifest) -> Manifest:
        """Check the gate of this pass, run it in the job's folder, and return the new manifest.

        The same as `filmgate run PIPELINE --passes STAGE --job-dir JOB_DIR --env ENV`. Raises
        PassFailed if the pass fails, PassBlocked if its gate is closed; both have the new manifest
        in the attribute `manifest`. Raises Invalid if `manifest` belongs to another job.
        """
        folder = Path(job_dir)
        uploads = _uploads_of(folder, manifest)
        options = RunOptions(job_dir=str(job_dir), env=env, stages=(stage,))
        runs = Runs(settings.load())
        with os_errors_translated():
            after = runs.run(pipeline, uploads, options, NullObserver(), ignore_progress).manifest
        _require_success(stage, after)
        return after

    return run


def _require_success(stage: str, manifest: Manifest) -> None:
    """Raise PassFailed or PassBlocked if the stage failed or was blocked."""
    entry = manifest.stages[stage]
    if entry.error is not None:
        raise PassFailed(stage, entry.error, manifest)
    if entry.blocked is not None:
        raise PassBlocked(stage, entry.blocked.reasons, manifest)
