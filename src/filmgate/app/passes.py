"""One pass of a job, for programs that drive the passes themselves: what is behind their doors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filmgate.app import settings
from filmgate.app.run_options import RunOptions
from filmgate.app.system import System
from filmgate.core.errors import Invalid
from filmgate.core.manifest import Manifest
from filmgate.engine.journal import Unwatched

UPLOADS = "uploads"


def _uploads_of(job_dir: Path, manifest: Manifest | Mapping[str, Any]) -> Path | None:
    """The uploads of a job that is not begun yet; None where the manifest is the job's own."""
    if not isinstance(manifest, Manifest) and set(manifest) == {UPLOADS}:
        return Path(manifest[UPLOADS])
    if not isinstance(manifest, Manifest):
        manifest = Manifest.parse(json.dumps(dict(manifest)).encode())
    if manifest.run_id != job_dir.name:
        raise Invalid(
            "this is the manifest of another job",
            expected=f"job_id {job_dir.name}, as the folder is called",
            got=f"job_id {manifest.run_id}",
        )
    return None


def run_pass(
    pipeline: str, stage: str, job_dir: Path, env: str, manifest: Manifest | Mapping[str, Any]
) -> Manifest:
    """Run one pass behind its gate, as `filmgate run PIPELINE --passes STAGE --job-dir` does."""
    uploads = _uploads_of(job_dir, manifest)
    options = RunOptions(job_dir=str(job_dir), env=env, stages=(stage,))
    system = System(settings.load())
    return system.run(pipeline, uploads, options, Unwatched(), lambda _done, _total: None).manifest
