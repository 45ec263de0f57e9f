"""Run one pass of the rulebook pipeline, for programs that drive the passes themselves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filmgate.core.errors import Invalid
from filmgate.core.manifest import Manifest
from filmgate.engine.journal import NullObserver
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs, ignore_progress
from filmgate.wiring import settings

UPLOADS = "uploads"


def _uploads_of(job_dir: Path, manifest: Manifest | Mapping[str, Any]) -> Path | None:
    """Return the folder of uploads for a new job; None if `manifest` is the manifest of the job.

    For a new job, `manifest` is a mapping with the single key `uploads`. Raises Invalid if
    `manifest` belongs to another job.
    """
    if not isinstance(manifest, Manifest) and set(manifest) == {UPLOADS}:
        return Path(manifest[UPLOADS])
    if not isinstance(manifest, Manifest):
        manifest = Manifest.parse(json.dumps(dict(manifest)).encode())
    if manifest.run_id != job_dir.name:
        raise Invalid(
            "the manifest belongs to another job",
            expected=f"job_id {job_dir.name}, the name of the folder",
            got=f"job_id {manifest.run_id}",
        )
    return None


def run_pass(
    pipeline: str, stage: str, job_dir: Path, env: str, manifest: Manifest | Mapping[str, Any]
) -> Manifest:
    """Run one pass behind its gate, as `filmgate run PIPELINE --passes STAGE --job-dir` does.

    Returns the manifest after the run.
    """
    uploads = _uploads_of(job_dir, manifest)
    options = RunOptions(job_dir=str(job_dir), env=env, stages=(stage,))
    runs = Runs(settings.load())
    return runs.run(pipeline, uploads, options, NullObserver(), ignore_progress).manifest
