"""One pass of a job, for programs that drive the passes themselves: what is behind their doors."""

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


def run_pass(
    pipeline: str, stage: str, job_dir: Path, env: str, manifest: Manifest | Mapping[str, Any]
) -> Manifest:
    """Run one pass behind its gate, as `filmgate run PIPELINE --passes STAGE --job-dir` does."""
    told = manifest.model_dump(mode="json") if isinstance(manifest, Manifest) else manifest
    run_id = told.get("job_id", told.get("run_id", job_dir.name))
    if run_id != job_dir.name:
        raise Invalid(
            "this is the manifest of another job",
            expected=f"job_id {job_dir.name}, as the folder is called",
            got=f"job_id {run_id}",
        )
    options = RunOptions(job_dir=str(job_dir), env=env, stages=(stage,))
    uploads = Path(told[UPLOADS]) if UPLOADS in told else None
    system = System(settings.load())
    return system.run(pipeline, uploads, options, Unwatched(), lambda _done, _total: None).manifest
